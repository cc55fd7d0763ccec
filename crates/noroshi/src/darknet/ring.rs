//! Packets of an interface from the kernel's ring (`AF_PACKET`, `TPACKET_V3`).

use std::time::Duration;

use anyhow::{Context as _, bail};
use netring::{Capture, CaptureBuilder, FanoutFlags, FanoutMode};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::sockopt::SocketError;
use nix::sys::socket::{LinkAddr, getsockopt};
use noroshi_wire::capture::{Frame, Frames, LinkType};

/// Bytes of a packet that are looked at: all headers, and the beginning of what a datagram carries.
const SNAP_BYTES: u32 = 256;
/// A thread's ring.
const BLOCK_BYTES: usize = 1 << 20;
const BLOCKS: usize = 64;
/// Packets wait in the ring no longer than this.
const BLOCK_WAIT_MS: u32 = 50;
/// How often it is looked whether to stop.
pub const LOOK_UP: Duration = Duration::from_millis(100);

/// Whether the interface that a ring is of is still there, under the number it had: one that is made anew under the same name has
/// another. One that goes down leaves an error, until which is asked for the ring does not wait for packets any more.
pub fn is_there(capture: &Capture, interface: &str, number: u32) -> bool {
    let _down = getsockopt(capture, SocketError);
    if_nametoindex(interface) == Ok(number)
}

/// The number of an interface.
pub fn number_of(interface: &str) -> anyhow::Result<u32> {
    Ok(if_nametoindex(interface)?)
}

/// Adds a block's packets to frames.
pub fn put(block: &netring::PacketBatch<'_>, link: LinkType, frames: &mut Frames) {
    for packet in block.iter() {
        let at = packet.timestamp();
        let at_ns = Some(u64::from(at.sec) * 1_000_000_000 + u64::from(at.nsec));
        let length = u32::try_from(packet.original_len()).unwrap_or(u32::MAX);
        let bytes = packet.data();
        frames.push(&Frame { at_ns, link, length, bytes: &bytes[..bytes.len().min(SNAP_BYTES as usize)] });
    }
}

/// What packets of an interface begin with (`ARPHRD_…` of Linux). Asked of the kernel, for `/sys` may be of another network namespace.
pub fn link_of(interface: &str) -> anyhow::Result<LinkType> {
    let mut addresses = getifaddrs()?.filter(|address| address.interface_name == interface);
    let kind = addresses.find_map(|address| address.address?.as_link_addr().map(LinkAddr::hatype));
    match kind.with_context(|| format!("there is no interface {interface}"))? {
        // Ethernet, loopback.
        1 | 772 => Ok(LinkType::ETHERNET),
        // Without a header of the link: tunnels, tun.
        65534 | 768 | 769 | 776 | 778 => Ok(LinkType::RAW),
        512 => Ok(LinkType::PPP),
        other => bail!("{interface} is of a kind that is not read (ARPHRD {other})"),
    }
}

/// A ring of an interface, one of so many among which the kernel divides its packets.
pub fn open(interface: &str, threads: usize) -> anyhow::Result<Capture> {
    let mut builder: CaptureBuilder = Capture::builder()
        .interface(interface)
        .snap_len(SNAP_BYTES)
        .block_size(BLOCK_BYTES)
        .block_count(BLOCKS)
        .block_timeout_ms(BLOCK_WAIT_MS)
        .promiscuous(true)
        .ignore_outgoing(true);
    if threads > 1 {
        // A group of our own: its number is one of 65,536 for the whole machine. What a ring is told to ignore, its group is not.
        let group = std::process::id() as u16;
        builder = builder.fanout(FanoutMode::Hash, group).fanout_flags(FanoutFlags::IGNORE_OUTGOING);
    }
    builder.build().map_err(|error| match error {
        netring::Error::PermissionDenied => anyhow::anyhow!(
            "{interface} may not be watched: that needs CAP_NET_RAW (setcap cap_net_raw+ep on the program, \
             AmbientCapabilities=CAP_NET_RAW in the service)"
        ),
        other => anyhow::Error::from(other).context(format!("{interface} cannot be watched")),
    })
}
