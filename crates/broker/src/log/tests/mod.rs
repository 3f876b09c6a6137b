//! The log as its users see it, on disks that fail.
