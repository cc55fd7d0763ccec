//! Batches looked at by several threads: who has one looks at it, and adds it in its turn. So their order is kept everywhere, and what comes
//! out is the same with one thread and with many.

use std::num::NonZeroUsize;

use noroshi_observe::telescope::{Glance, Telescope, Turn};
use noroshi_wire::capture::Frames;

use super::watch::Watch;

/// Threads beyond which there is no use: each waits for the one before it at every part.
pub const THREADS_MAX: usize = 16;

/// Where a thread's batches come from.
pub trait Batches: Send {
    /// The next one, in the place of what `frames` held, and its number: all threads together number them from 0 on, and leave none out.
    /// None at the end.
    fn next(&mut self, frames: &mut Frames) -> Option<u64>;
}

/// How many threads there are by default.
pub fn usual() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX)
}

/// Looks at all batches, a thread for each source of them.
pub fn look<B: Batches>(telescope: &Telescope, watch: &Turn<Watch>, sources: impl IntoIterator<Item = B>) {
    std::thread::scope(|scope| {
        for mut source in sources {
            scope.spawn(move || {
                let (mut frames, mut glance) = (Frames::default(), Glance::default());
                while let Some(turn) = source.next(&mut frames) {
                    telescope.look(&frames, &mut glance);
                    telescope.take(turn, &mut glance);
                    watch.at(turn, |watch| watch.take(&mut glance));
                }
            });
        }
    });
}
