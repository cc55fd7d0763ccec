//! Any bytes as a frame of any link; as an Ethernet frame, what etherparse reads of it is what is read here.
#![no_main]

use std::net::IpAddr;

use etherparse::{LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use libfuzzer_sys::fuzz_target;
use noroshi_wire::capture::LinkType;
use noroshi_wire::packet::{NoPacket, Packet, Transport};

fuzz_target!(|bytes: &[u8]| {
    let [link, frame @ ..] = bytes else { return };
    for link in [u16::from(*link), u16::from(*link) + 100] {
        let _read = Packet::read(LinkType(link), frame);
    }
    let ours = Packet::read(LinkType::ETHERNET, frame);
    let Ok(theirs) = LaxSlicedPacket::from_ethernet(frame) else { return };
    // MACsec is sealed, as a rule; they look behind it where it is not.
    if theirs.link_exts.iter().any(|ext| matches!(ext, LaxLinkExtSlice::Macsec(_))) {
        return;
    }
    let (ends, fragmented): ([IpAddr; 2], bool) = match &theirs.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            ([ip.header().source_addr().into(), ip.header().destination_addr().into()], ip.is_payload_fragmented())
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            ([ip.header().source_addr().into(), ip.header().destination_addr().into()], ip.is_payload_fragmented())
        }
        _ => return,
    };
    let Ok(ours) = ours else {
        assert_eq!(ours, Err(NoPacket::Malformed));
        return;
    };
    assert_eq!([ours.addresses.source(), ours.addresses.destination()], ends);
    let ports = match (&theirs.transport, fragmented) {
        (Some(TransportSlice::Tcp(tcp)), false) => (tcp.source_port(), tcp.destination_port()),
        (Some(TransportSlice::Udp(udp)), false) => (udp.source_port(), udp.destination_port()),
        _ => return,
    };
    match ours.transport {
        Transport::Tcp(tcp) => assert_eq!((tcp.source_port, tcp.destination_port), ports),
        Transport::Udp(udp) => assert_eq!((udp.source_port, udp.destination_port), ports),
        other => panic!("{other:?}, and not {ports:?}"),
    }
});
