//! UDP: a batch of questions is received by one call to the kernel, answered where it lies, and sent by another.
//!
//! The limit is the kernel's work for each datagram, so nothing else may cost much: no allocation, no lock that is held by others,
//! no task. A question that must wait for another server is copied to the runtime, whose task sends the answer itself.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrLike as _, SockaddrStorage, recvmmsg, sendmmsg};

use super::counts::Batch;
use super::dnstap::Exchange;
use super::{LOOK_UP, Serving};
use crate::client::Transport;
use crate::resolver::AtOnce;

/// Datagrams of a batch.
const BATCH: usize = 32;
/// Octets of a question at most; there is hardly anything in it but a name.
const QUESTION_OCTETS_MAX: usize = 2048;

/// Serves a socket until serving ends. It takes the thread that calls it.
///
/// # Errors
///
/// Whatever the kernel says of the socket.
pub fn serve(serving: &Serving, socket: UdpSocket) -> std::io::Result<()> {
    socket.set_read_timeout(Some(LOOK_UP))?;
    let mut worker = Worker {
        serving,
        socket: Arc::new(socket),
        questions: vec![[0; QUESTION_OCTETS_MAX]; BATCH],
        answers: std::iter::repeat_with(|| Vec::with_capacity(1500)).take(BATCH).collect(),
        counted: Batch::default(),
    };
    let mut incoming = MultiHeaders::preallocate(BATCH, None);
    let mut outgoing = MultiHeaders::preallocate(BATCH, None);
    while !serving.stops() {
        let mut from = [(0, None); BATCH];
        let received = match worker.receive(&mut incoming, &mut from) {
            Ok(received) => received,
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let to = worker.answer(&from[..received]);
        worker.send(&mut outgoing, &to);
        worker.serving.counts.came(Transport::Udp, &mut worker.counted);
    }
    Ok(())
}

struct Worker<'s> {
    serving: &'s Serving,
    socket: Arc<UdpSocket>,
    questions: Vec<[u8; QUESTION_OCTETS_MAX]>,
    answers: Vec<Vec<u8>>,
    counted: Batch,
}

type From = (usize, Option<SockaddrStorage>);

impl Worker<'_> {
    fn receive(
        &mut self,
        headers: &mut MultiHeaders<SockaddrStorage>,
        from: &mut [From; BATCH],
    ) -> Result<usize, Errno> {
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] = {
            let mut questions = self.questions.iter_mut();
            std::array::from_fn(|_| {
                [IoSliceMut::new(questions.next().map_or(&mut [][..], |question| question))]
            })
        };
        let fd = self.socket.as_raw_fd();
        let received = recvmmsg(fd, headers, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None)?;
        let mut count = 0;
        for (place, message) in from.iter_mut().zip(received) {
            // What does not fit is no question.
            let whole = !message.flags.contains(MsgFlags::MSG_TRUNC);
            *place = (if whole { message.bytes } else { 0 }, message.address);
            count += 1;
        }
        Ok(count)
    }

    /// Answers a batch; to whom answers go, each in the place of its question.
    fn answer(&mut self, from: &[From]) -> [Option<SockaddrStorage>; BATCH] {
        let policy = self.serving.resolver.policy.load();
        let mut to = [None; BATCH];
        self.counted.queries += from.len() as u64;
        for (at, (len, address)) in from.iter().enumerate() {
            let Some(client) = address.as_ref().and_then(socket_address) else { continue };
            let question = &self.questions[at][..*len];
            match self.serving.resolver.answer(
                &policy,
                question,
                client.ip(),
                Transport::Udp,
                &mut self.answers[at],
            ) {
                AtOnce::Answered(told) => {
                    self.counted.at_once += 1;
                    to[at] = *address;
                    if let Some(told) = told {
                        self.counted.told(&told);
                        let (answer, from) = (self.answers[at].as_slice(), client);
                        let exchange = Exchange { question, answer, from, transport: Transport::Udp };
                        self.serving.told(&told, exchange);
                        self.serving.renew(&told, client);
                    }
                }
                AtOnce::Silent(told) => {
                    self.counted.silent(told.as_ref());
                    let exchange =
                        Exchange { question, answer: &[], from: client, transport: Transport::Udp };
                    told.iter().for_each(|told| self.serving.told(told, exchange));
                }
                AtOnce::Later => {
                    later(self.serving, &mut self.counted, &self.socket, question.to_vec(), client);
                }
                AtOnce::Given(place) => {
                    self.counted.at_once += 1;
                    give(self.serving, &self.socket, place, question.to_vec(), client);
                }
                AtOnce::Notified(zone) => {
                    self.counted.at_once += 1;
                    to[at] = *address;
                    // When many are told already, this one is fetched soon, too.
                    let _ = self.serving.notified.try_send((*zone, client.ip()));
                }
            }
        }
        to
    }

    fn send(&self, headers: &mut MultiHeaders<SockaddrStorage>, to: &[Option<SockaddrStorage>; BATCH]) {
        let mut slices = [[IoSlice::new(&[])]; BATCH];
        let mut addresses = [None; BATCH];
        let mut count = 0;
        for (answer, address) in self.answers.iter().zip(to) {
            if address.is_some() {
                (slices[count], addresses[count]) = ([IoSlice::new(answer)], *address);
                count += 1;
            }
        }
        let mut sent = 0;
        while sent < count {
            let (slices, addresses) = (&slices[sent..count], &addresses[sent..count]);
            match sendmmsg(self.socket.as_raw_fd(), headers, slices.iter(), addresses, [], MsgFlags::empty())
            {
                Ok(results) => sent += results.count().max(1),
                Err(Errno::EINTR) => {}
                // The first cannot be sent: its client is gone. The others can.
                Err(_) => sent += 1,
            }
        }
    }
}

/// Gives a question to the runtime.
fn later(
    serving: &Serving,
    counted: &mut Batch,
    socket: &Arc<UdpSocket>,
    question: Vec<u8>,
    client: SocketAddr,
) {
    let Some(waits) = serving.waiting.one_more(client.ip()) else {
        counted.refused_full += 1;
        return;
    };
    let (serving, socket) = (serving.clone(), Arc::clone(socket));
    serving.runtime.clone().spawn(async move {
        if let Some(answer) = serving.later(&question, client, Transport::Udp, waits).await {
            // A client that is gone does not mind.
            let _ = socket.send_to(&answer, client);
        }
    });
}

/// Answers a question for a zone that is given to others; that takes a look at the disk.
fn give(serving: &Serving, socket: &Arc<UdpSocket>, place: usize, question: Vec<u8>, client: SocketAddr) {
    let Ok(permit) = Arc::clone(&serving.giving).try_acquire_owned() else { return };
    let (resolver, socket) = (Arc::clone(&serving.resolver), Arc::clone(socket));
    serving.runtime.spawn_blocking(move || {
        let sent = resolver.given(place).map(|given| {
            given.answer(&question, client.ip(), false, |answer| socket.send_to(&answer, client).map(drop))
        });
        if let Some(Err(error)) = sent {
            tracing::debug!(%client, %error, "giving a zone");
        }
        drop(permit);
    });
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if address.len() == 0 {
        return None;
    }
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port()))))
}
