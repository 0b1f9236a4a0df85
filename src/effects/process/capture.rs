//! What a command writes, kept up to a limit: behind it reading goes on, so that the command is not held up.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes kept of standard output and standard error together.
pub const LIMIT: usize = 1 << 20;

/// Bytes kept of the end of each stream.
const TAIL: usize = 8 << 10;

/// Is told each line of a stream while the command runs, and must not block.
pub type Watch = Box<dyn Fn(&str) + Send + Sync>;

/// One stream of a command.
#[derive(Default)]
pub struct Capture {
    inner: Mutex<Inner>,
    watch: Option<Watch>,
}

#[derive(Default)]
struct Inner {
    head: Vec<u8>,
    tail: Vec<u8>,
    total: usize,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
}

impl Capture {
    /// A stream whose lines somebody is told.
    pub fn watched(watch: Option<Watch>) -> Self {
        Self { watch, ..Self::default() }
    }

    /// Reads to the end. `budget` is what all streams together may still keep. Dropping the future keeps what was read.
    pub async fn read(&self, mut stream: impl AsyncRead + Unpin, budget: &AtomicUsize) {
        let mut buffer = vec![0u8; 64 << 10];
        while let Ok(count) = stream.read(&mut buffer).await {
            if count == 0 {
                return;
            }
            let bytes = &buffer[..count];
            let mut inner = self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let granted = budget
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left - left.min(count)))
                .map_or(0, |left| left.min(count));
            inner.head.extend_from_slice(&bytes[..granted]);
            inner.total += count;
            inner.tail.extend_from_slice(bytes);
            let surplus = inner.tail.len().saturating_sub(TAIL);
            inner.tail.drain(..surplus);
            if let Some(watch) = &self.watch {
                inner.line.extend_from_slice(bytes);
                while let Some(end) = inner.line.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = inner.line.drain(..=end).collect();
                    watch(String::from_utf8_lossy(&line).trim_end());
                }
            }
        }
    }

    /// Bytes written in all.
    pub fn total(&self) -> usize {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner).total
    }

    /// What was kept, as text.
    pub fn text(&self) -> String {
        let inner = self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        String::from_utf8_lossy(&inner.head).into_owned()
    }

    /// The end of what was written, in whole lines, as text.
    pub fn tail(&self) -> String {
        let inner = self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if inner.total == inner.head.len() {
            return String::from_utf8_lossy(&inner.head).into_owned();
        }
        // A line that lost its beginning may hold the end of a secret that nothing would recognise.
        let start = inner.tail.iter().position(|byte| *byte == b'\n').map_or(inner.tail.len(), |at| at + 1);
        String::from_utf8_lossy(&inner.tail[start..]).into_owned()
    }
}
