//! Any lines as a mail server's log: nothing panics, and what is told names a Message-ID that a line gave.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::postfix::MailLog;

fuzz_target!(|text: &str| {
    let mut log = MailLog::default();
    for line in text.lines() {
        if let Some((message_id, _)) = log.line(line) {
            assert!(text.contains(&message_id));
        }
    }
});
