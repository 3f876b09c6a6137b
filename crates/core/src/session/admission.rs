//! Which requests a broker lets in, by the first bytes of their frames: before it knows who is there, only those that
//! say so, and never a frame longer than its API has a use for.

use std::fmt;

use vltava_wire::{Api, OverLimit};

/// What a broker knows of who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has to log in, and has not.
    Stranger,
    /// It has logged in, or need not.
    Known,
}

/// The longest frame of a stranger: a step of a login, as Kafka's `sasl.server.max.receive.size` has it. Whatever
/// API is added to those that strangers may use, they cannot make a broker wait for more.
pub const STRANGER_BYTES_MAX: usize = 512 << 10;

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmitted {
    /// Its frame is longer than such a request can be.
    TooLong(Api, OverLimit),
    /// A stranger has no use of the API.
    NotLoggedIn(Api),
}

/// Lets a request in whose frame, without its length, is so long, or says why not.
pub fn admit(standing: Standing, api: Api, frame_bytes: usize) -> Result<(), NotAdmitted> {
    let max = match standing {
        Standing::Known => api.request_bytes_max(),
        Standing::Stranger if is_for_strangers(api) => api.request_bytes_max().min(STRANGER_BYTES_MAX),
        Standing::Stranger => return Err(NotAdmitted::NotLoggedIn(api)),
    };
    if frame_bytes > max {
        let over = OverLimit { limit: "bytes of the frame", max, asked: frame_bytes };
        return Err(NotAdmitted::TooLong(api, over));
    }
    Ok(())
}

/// What a login is made of.
fn is_for_strangers(api: Api) -> bool {
    matches!(api, Api::ApiVersions | Api::SaslHandshake | Api::SaslAuthenticate)
}

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(api, over) => write!(f, "{api:?}: {over}"),
            Self::NotLoggedIn(api) => write!(f, "{api:?} is not served before a login"),
        }
    }
}

impl std::error::Error for NotAdmitted {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_may_introduce_itself_and_log_in_and_nothing_else() {
        for api in Api::ALL.iter().copied() {
            let admitted = admit(Standing::Stranger, api, 100);
            match api {
                Api::ApiVersions | Api::SaslHandshake | Api::SaslAuthenticate => assert_eq!(admitted, Ok(())),
                _ => assert_eq!(admitted, Err(NotAdmitted::NotLoggedIn(api))),
            }
            assert_eq!(admit(Standing::Known, api, 100), Ok(()));
            assert!(admit(Standing::Stranger, api, STRANGER_BYTES_MAX + 1).is_err(), "{api:?}");
        }
    }

    #[test]
    fn a_frame_is_no_longer_than_its_api_has_a_use_for() {
        for standing in [Standing::Stranger, Standing::Known] {
            assert_eq!(admit(standing, Api::ApiVersions, 64 << 10), Ok(()));
            let refused = admit(standing, Api::ApiVersions, (64 << 10) + 1).expect_err("a byte too many");
            let text = "ApiVersions: bytes of the frame would be 65537, the limit is 65536";
            assert_eq!(refused.to_string(), text);
        }
        assert_eq!(admit(Standing::Known, Api::Produce, 100 << 20), Ok(()));
        assert!(admit(Standing::Known, Api::Produce, (100 << 20) + 1).is_err());
    }
}
