//! The segments' files that are open: a few, however many there are.

use std::{collections::BTreeMap, io, sync::Arc};

use crate::disk::{Disk, File};

/// So many are kept open. More are opened and closed as they are needed.
const OPEN_MAX: usize = 256;

pub(super) struct Files {
    pub(super) disk: Arc<dyn Disk>,
    open: BTreeMap<String, Arc<dyn File>>,
}

impl Files {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, open: BTreeMap::new() }
    }

    pub(super) fn open(&mut self, name: &str) -> io::Result<Arc<dyn File>> {
        if let Some(file) = self.open.get(name) {
            return Ok(file.clone());
        }
        let file = self.disk.open(name)?;
        self.keep(name, &file);
        Ok(file)
    }

    pub(super) fn create(&mut self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = self.disk.create(name)?;
        self.keep(name, &file);
        Ok(file)
    }

    pub(super) fn close(&mut self, name: &str) {
        self.open.remove(name);
    }

    fn keep(&mut self, name: &str, file: &Arc<dyn File>) {
        if self.open.len() == OPEN_MAX {
            self.open.pop_first();
        }
        self.open.insert(name.to_owned(), file.clone());
    }
}
