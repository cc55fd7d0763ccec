//! Sockets that are listened at: opened here, or taken over from whoever listened before (systemd, or a resolver that gives way). The
//! kernel keeps what arrives at a socket for whoever has it next, so nothing is lost between the two.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use nix::ifaddrs::getifaddrs;
use socket2::{Domain, Protocol, Socket, Type};

/// Octets of a UDP socket's buffers that the kernel is asked for.
const SOCKET_OCTETS: usize = 4 << 20;
const BACKLOG: i32 = 1024;

/// Sockets that were taken over, and those that are in use.
#[derive(Debug, Default)]
pub struct Sockets {
    taken_over: Vec<Socket>,
    in_use: Vec<OwnedFd>,
}

impl Sockets {
    /// With those that somebody else had.
    pub fn taken_over(sockets: impl IntoIterator<Item = OwnedFd>) -> Self {
        Self { taken_over: sockets.into_iter().map(Socket::from).collect(), in_use: Vec::new() }
    }

    /// Sockets for UDP at an address, one for each worker, among which the kernel divides clients. There are more where more were taken over: a
    /// socket that nobody reads would have its share of clients.
    ///
    /// # Errors
    ///
    /// Whatever the kernel says.
    pub fn udp(&mut self, address: SocketAddr, workers: usize) -> io::Result<Vec<UdpSocket>> {
        let mut sockets = self.take(Type::DGRAM, address);
        let mut address = address;
        while sockets.len() < workers.max(1) {
            let socket = opened(address, Type::DGRAM, Protocol::UDP, |socket| {
                socket.set_reuse_port(true)?;
                // The kernel gives less where its own limit says so.
                socket.set_recv_buffer_size(SOCKET_OCTETS)?;
                socket.set_send_buffer_size(SOCKET_OCTETS)
            });
            match socket {
                // All share the port that the first was given.
                Ok(socket) => {
                    address = local_address(&socket).unwrap_or(address);
                    sockets.push(socket);
                }
                // What was taken over may not be shared; it is enough.
                Err(_) if !sockets.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        self.uses(&sockets)?;
        sockets.iter().try_for_each(|socket| socket.set_nonblocking(false))?;
        Ok(sockets.into_iter().map(UdpSocket::from).collect())
    }

    /// A socket for TCP at an address.
    ///
    /// # Errors
    ///
    /// Whatever the kernel says.
    pub fn tcp(&mut self, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = match self.take(Type::STREAM, address).pop() {
            Some(socket) => socket,
            None => opened(address, Type::STREAM, Protocol::TCP, |socket| socket.set_reuse_address(true))?,
        };
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        self.uses(std::slice::from_ref(&socket))?;
        Ok(socket.into())
    }

    /// Those that were taken over and that nobody listens at.
    pub fn left_over(&self) -> impl Iterator<Item = SocketAddr> {
        self.taken_over.iter().filter_map(local_address)
    }

    /// Closes those that nobody listens at, and gives up what the others need to be given on: all that are in use.
    pub fn in_use(self) -> Vec<OwnedFd> {
        self.in_use
    }

    fn take(&mut self, kind: Type, address: SocketAddr) -> Vec<Socket> {
        let here = |socket: &mut Socket| {
            address.port() != 0
                && socket.r#type().is_ok_and(|its| its == kind)
                && local_address(socket) == Some(address)
        };
        self.taken_over.extract_if(.., here).collect()
    }

    fn uses(&mut self, sockets: &[Socket]) -> io::Result<()> {
        for socket in sockets {
            self.in_use.push(socket.try_clone()?.into());
        }
        Ok(())
    }
}

fn local_address(socket: &Socket) -> Option<SocketAddr> {
    socket.local_addr().ok()?.as_socket()
}

fn opened(
    address: SocketAddr,
    kind: Type,
    protocol: Protocol,
    prepare: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    prepare(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The addresses that an address stands for: all of this machine, of the same family, for "any". An answer must come from the
/// address that was asked, so each has a socket of its own.
///
/// # Errors
///
/// Whatever the kernel says.
pub fn expanded(address: SocketAddr) -> io::Result<Vec<SocketAddr>> {
    if !address.ip().is_unspecified() {
        return Ok(vec![address]);
    }
    let mut all = Vec::new();
    for interface in getifaddrs().map_err(io::Error::from)? {
        let Some(own) = interface.address else { continue };
        let v4 = own.as_sockaddr_in().map(|own| IpAddr::from(own.ip()));
        // A link-local address is one only together with its interface.
        let v6 = own
            .as_sockaddr_in6()
            .filter(|own| !own.ip().is_unicast_link_local())
            .map(|own| IpAddr::from(own.ip()));
        let own = v4.or(v6).filter(|own| own.is_ipv4() == address.is_ipv4());
        all.extend(own.map(|own| SocketAddr::new(own, address.port())));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_meanwhile_is_there_for_whoever_takes_over() {
        let mut before = Sockets::default();
        let here = before.udp("127.0.0.1:0".parse().unwrap(), 2).unwrap()[0].local_addr().unwrap();
        let tcp = before.tcp("127.0.0.1:0".parse().unwrap()).unwrap().local_addr().unwrap();
        let given = before.in_use();
        assert_eq!(given.len(), 3);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"meanwhile", here).unwrap();
        let caller = std::net::TcpStream::connect(tcp).unwrap();

        let mut after = Sockets::taken_over(given);
        assert_eq!(after.left_over().count(), 3);
        let sockets = after.udp(here, 1).unwrap();
        assert_eq!(sockets.len(), 2, "one that nobody reads would have its share");
        let listener = after.tcp(tcp).unwrap();
        assert_eq!(after.left_over().count(), 0);
        let mut read = [0; 16];
        let found = sockets.iter().find_map(|socket| {
            socket.set_nonblocking(true).unwrap();
            socket.recv_from(&mut read).ok()
        });
        assert_eq!(found, Some((9, sender.local_addr().unwrap())));
        assert_eq!(listener.accept().unwrap().1, caller.local_addr().unwrap());
    }
}
