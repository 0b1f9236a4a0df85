//! Signals: the first asks the run to stop after the change in hand, the second to stop where it stands.

use tokio::signal::unix::{SignalKind, signal};

use crate::engine::cancel::{Canceller, Urgency};

/// Listens until the process ends. `say` tells the person what a press did.
pub fn listen(
    runtime: &tokio::runtime::Handle,
    canceller: Canceller,
    say: impl Fn(&str) + Send + 'static,
) -> std::io::Result<()> {
    let _guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    runtime.spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
            match canceller.press() {
                Urgency::Soft => say("stopping after the change in hand; once more to stop at once"),
                _ => say("stopping at once; what is in doubt is settled on resume"),
            }
        }
    });
    Ok(())
}
