//! ICAP (RFC 3507), as far as it takes to be asked by an HTTP proxy before it opens something: `OPTIONS` and `REQMOD`.
//!
//! Names are asked for by DNS, but a page of many on one host can only be told by its whole address, which a proxy knows and DNS never does.
//!
//! ```text
//!   proxy ──REQMOD, the request's head──▶ head ──▶ Judge ─┬─ pass:    204, and the proxy goes on
//!                                                         ├─ page:    200, with the answer that the proxy gives instead
//!                                                         └─ refused: the same, two lines of text
//! ```
//!
//! Of a request's body nothing is looked at, unless it is to the page itself (its button). Bodies are asked for as previews of no octets, so that an upload
//! is neither waited for nor copied.

mod head;
mod serve;

use std::net::IpAddr;

pub use head::{Bad, Head, Method, Requested, chunk_octets};
pub use serve::{Answer, serve};

/// Octets of a message's own head at most.
pub const HEAD_OCTETS_MAX: usize = 16 << 10;
/// Octets of the head of a request that it carries at most.
pub const REQUEST_OCTETS_MAX: usize = 64 << 10;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It goes its way.
    Pass,
    /// The page that warns answers it.
    Page,
    /// It is refused without one: whoever asks cannot go on.
    Refused,
}

/// Whoever judges requests.
pub trait Judge: Send + Sync + 'static {
    /// What becomes of a client's request.
    fn judge(&self, client: IpAddr, requested: &Requested<'_>) -> Judged;
    /// Changes with what would be judged otherwise: at most 32 letters and digits.
    fn version(&self) -> String;
}
