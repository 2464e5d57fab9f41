//! Who watches what. A watch sleeps until somebody announces a change of what it watches; it is told nothing else, and reads by
//! itself how things are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch::{Receiver, Sender};

/// The names that are watched, each with what wakes its watches.
#[derive(Default)]
pub(super) struct Watched(Mutex<HashMap<String, Sender<()>>>);

impl Watched {
    pub(super) fn watch(self: &Arc<Self>, name: &str) -> Watch {
        let mut news = self
            .names()
            .entry(name.to_owned())
            .or_insert_with(|| Sender::new(()))
            .subscribe();
        news.mark_changed();
        Watch {
            name: name.to_owned(),
            news: Some(news),
            watched: Arc::clone(self),
        }
    }

    pub(super) fn wake(&self, name: &str) {
        if let Some(watches) = self.names().get(name) {
            watches.send_replace(());
        }
    }

    /// When nobody can say what has changed.
    pub(super) fn wake_all(&self) {
        for watches in self.names().values() {
            watches.send_replace(());
        }
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches one name.
pub struct Watch {
    name: String,
    /// `None` only while it is dropped.
    news: Option<Receiver<()>>,
    watched: Arc<Watched>,
}

impl Watch {
    /// Returns when a change was announced since the last call. The first call returns at once: whatever was read before the
    /// watch began may be out of date already.
    pub async fn changed(&mut self) {
        let news = self.news.as_mut().expect("a watch has it all its life");
        let changed = news.changed().await;
        changed.expect("a name stays for as long as it is watched");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut names = self.watched.names();
        self.news.take();
        if names.get(&self.name).is_some_and(Sender::is_closed) {
            names.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_forgotten_with_its_last_watch() {
        let watched = Arc::<Watched>::default();
        let (one, mut two) = (watched.watch("a"), watched.watch("a"));
        drop(one);
        two.changed().await;
        watched.wake("a");
        two.changed().await;
        drop(two);
        assert!(watched.names().is_empty());
    }
}
