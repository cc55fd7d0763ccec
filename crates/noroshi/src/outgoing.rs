//! How a sealed addressee lies in the outbox: the id it was encrypted under, then the ciphertext.

use noroshi_law::Locked;

/// Length of the id in front.
const ID_BYTES: usize = 22;

/// One byte string for the outbox.
pub fn pack(sealed: &Locked) -> Vec<u8> {
    [sealed.id.as_bytes(), &sealed.body].concat()
}

/// The sealed addressee again; `None` where the bytes are not of the form.
pub fn unpack(bytes: &[u8]) -> Option<Locked> {
    let (id, body) = bytes.split_at_checked(ID_BYTES)?;
    let id = std::str::from_utf8(id).ok()?.to_owned();
    Some(Locked { id, slots: Vec::new(), at: jiff::Timestamp::UNIX_EPOCH, body: body.to_vec() })
}
