//! Any bytes as a capture, and behind the beginning of each kind of one: frames are within what was given, the place advances, and many
//! at once are the same as one by one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::capture::{Capture, Frames};
use noroshi_wire::packet::Packet;

const PCAP: &[u8] = b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x01\0\0\0";
const PCAPNG: &[u8] = b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0\
    \x01\0\0\0\x14\0\0\0\x01\0\0\0\0\0\0\0\x14\0\0\0";

fuzz_target!(|bytes: &[u8]| {
    for file in [bytes.to_vec(), [PCAP, bytes].concat(), [PCAPNG, bytes].concat()] {
        let Ok(mut capture) = Capture::new(&file[..]) else { continue };
        let (mut kept, mut count, mut offset) = (0, 0, capture.offset());
        while let Ok(Some(frame)) = capture.next_frame() {
            kept += frame.bytes.len();
            count += 1;
            let _read = Packet::read(frame.link, frame.bytes);
            assert!(capture.offset() > offset);
            offset = capture.offset();
        }
        assert!(kept <= file.len() && matches!(capture.next_frame(), Ok(None)));
        let Ok(mut capture) = Capture::new(&file[..]) else { continue };
        let mut frames = Frames::default();
        while let Ok(true) = capture.next_frames(&mut frames) {
            kept -= frames.iter().map(|frame| frame.bytes.len()).sum::<usize>();
            count -= frames.len();
        }
        assert_eq!((kept, count), (0, 0));
    }
});
