//! Any bytes as a batch of a sensor, as a batch whose columns they are, and as frames that are written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::batch::{FRAMES_MAX, Head, PACKET_BYTES_MAX, Run, read, read_head, write};
use noroshi_wire::capture::{Frame, Frames, LinkType};
use noroshi_wire::packet::{Headers, Packet};

fuzz_target!(|bytes: &[u8]| {
    let mut frames = Frames::default();
    let head = Head {
        sensor: "fuzz".parse().unwrap(),
        run: Run([1; 16]),
        number: 1,
        before: 2,
        made_ns: 3,
        lost: 4,
        left_out: 5,
    };
    for whole in [bytes.to_vec(), [&empty(&head)[..], bytes].concat()] {
        if let Ok(told) = read(&whole, &mut frames) {
            assert!(frames.len() <= FRAMES_MAX && read_head(&whole) == Ok(told));
            for frame in frames.iter() {
                assert!(frame.bytes.len() <= PACKET_BYTES_MAX);
                let _read = Packet::read(frame.link, frame.bytes);
            }
        }
    }
    // The beginning says how long each packet is, and of which link.
    frames.clear();
    let (lengths, mut rest) = bytes.split_at(bytes.len().min(16));
    for length in lengths {
        let (packet, more) = rest.split_at(rest.len().min(usize::from(*length) * 2));
        rest = more;
        let link = [LinkType::ETHERNET, LinkType::RAW, LinkType::LINUX_SLL, LinkType::PPP][usize::from(*length) % 4];
        if let Ok(headers) = Headers::read(link, packet) {
            let whole = Packet::read(link, packet).map(|packet| packet.addresses);
            assert_eq!(Packet::ip(headers.bytes()).map(|packet| packet.addresses), whole);
            let at_ns = Some(u64::from(*length) << 40);
            frames.push(&Frame { at_ns, link: LinkType::RAW, length: packet.len() as u32, bytes: headers.bytes() });
        }
    }
    let mut again = Frames::default();
    assert_eq!(read(&write(&head, &frames).unwrap(), &mut again), Ok(head));
    assert!(frames.iter().eq(again.iter()));
});

/// A batch's beginning, behind which anything may come.
fn empty(head: &Head) -> Vec<u8> {
    let mut whole = write(head, &Frames::default()).unwrap();
    whole.truncate(69 + 4);
    whole[60..64].copy_from_slice(&3u32.to_le_bytes());
    whole[64..68].copy_from_slice(&200u32.to_le_bytes());
    whole
}
