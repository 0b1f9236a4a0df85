//! Stopping a run from outside, in two degrees.

use tokio::sync::watch;

/// How urgently a run is asked to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Nobody asked.
    #[default]
    None,
    /// Finish the change in hand, begin nothing new.
    Soft,
    /// Stop where it stands; what is in doubt is settled on resume.
    Hard,
}

/// The asking side, for signal handlers.
#[derive(Clone)]
pub struct Canceller(watch::Sender<Urgency>);

/// The asked side, for the engine.
#[derive(Clone)]
pub struct Cancel(watch::Receiver<Urgency>);

/// A pair of both.
pub fn pair() -> (Canceller, Cancel) {
    let (sender, receiver) = watch::channel(Urgency::None);
    (Canceller(sender), Cancel(receiver))
}

impl Canceller {
    /// Asks once more: first softly, then hard.
    pub fn press(&self) -> Urgency {
        self.0.send_modify(|urgency| {
            *urgency = if *urgency == Urgency::None { Urgency::Soft } else { Urgency::Hard };
        });
        *self.0.borrow()
    }
}

impl Cancel {
    /// Whether anybody asked.
    pub fn asked(&self) -> bool {
        *self.0.borrow() != Urgency::None
    }

    /// Waits until the run is asked to stop at least this urgently.
    pub async fn reached(&self, urgency: Urgency) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|now| *now >= urgency).await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }
}
