//! One question to a resolver, over UDP, from a port of its own: who wants to answer in the resolver's place has to guess that besides the
//! id (RFC 5452). What fits no question is passed over.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Bytes of an answer: what passes every path unfragmented (DNS flag day 2020). One that is cut is taken as it is.
pub const ANSWER_BYTES_MAX: u16 = 1232;
/// Where the system says whom to ask.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The resolvers' port, which that file does not say.
const DNS_PORT: u16 = 53;
/// How often a question for texts is sent, to the next resolver each time, and how long each is waited for.
const TRIES: usize = 3;
const WAIT: Duration = Duration::from_secs(3);

/// A question for records of a name.
pub fn question(name: Name, kind: RecordType) -> Message {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name, kind));
    let mut edns = Edns::new();
    edns.set_max_payload(ANSWER_BYTES_MAX);
    question.set_edns(edns);
    question
}

/// Sends a question and waits for its answer; none where the resolver answered with something that cannot be read.
pub async fn exchange(resolver: SocketAddr, question: &Message, wire: &[u8]) -> io::Result<Option<Message>> {
    let any: IpAddr =
        if resolver.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(resolver).await?;
    socket.send(wire).await?;
    let mut buffer = [0; ANSWER_BYTES_MAX as usize];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match read(question, &buffer[..length]) {
            Read::Answer(answer) => return Ok(Some(*answer)),
            Read::Broken => return Ok(None),
            Read::Other => {}
        }
    }
}

/// What came back.
enum Read {
    Answer(Box<Message>),
    /// An answer that cannot be read.
    Broken,
    /// No answer to this question.
    Other,
}

fn read(question: &Message, bytes: &[u8]) -> Read {
    if !bytes.starts_with(&question.metadata.id.to_be_bytes()) {
        return Read::Other;
    }
    let asked = |message: &Message| message.queries.first().map(|q| (q.name().clone(), q.query_type()));
    match Message::from_vec(bytes) {
        Ok(answer)
            if answer.metadata.message_type == MessageType::Response && asked(&answer) == asked(question) =>
        {
            Read::Answer(Box::new(answer))
        }
        Ok(_) => Read::Other,
        Err(_) => Read::Broken,
    }
}

/// The texts of a name, asked of these resolvers, or of the system's where there are none; none where the name has none.
pub fn texts_of(name: &str, resolvers: &[SocketAddr]) -> anyhow::Result<Vec<String>> {
    let resolvers = match resolvers {
        [] => of_the_system()?,
        named => named.to_vec(),
    };
    let question = question(name.parse().with_context(|| format!("{name} is no name"))?, RecordType::TXT);
    let wire = question.to_vec()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async {
        for resolver in resolvers.iter().cycle().take(TRIES) {
            if let Ok(Ok(Some(answer))) = timeout(WAIT, exchange(*resolver, &question, &wire)).await {
                return Some(answer);
            }
        }
        None
    });
    let answer = answer.with_context(|| format!("no resolver answered about {name}"))?;
    let code = answer.metadata.response_code;
    ensure!(
        matches!(code, ResponseCode::NoError | ResponseCode::NXDomain),
        "the resolver says {code} of {name}"
    );
    let text = |data: &RData| match data {
        RData::TXT(txt) => Some(txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect()),
        _ => None,
    };
    Ok(answer.answers.iter().filter_map(|record| text(&record.data)).collect())
}

/// The resolvers that the system names.
pub fn of_the_system() -> anyhow::Result<Vec<SocketAddr>> {
    let text =
        std::fs::read_to_string(RESOLV_CONF).with_context(|| format!("{RESOLV_CONF} cannot be read"))?;
    let found = name_servers(&text);
    ensure!(!found.is_empty(), "{RESOLV_CONF} names no resolver: set one in the configuration");
    Ok(found)
}

/// Those of a `resolv.conf`.
fn name_servers(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        words.next()?.parse::<IpAddr>().ok()
    };
    text.lines().filter_map(address).map(|ip| SocketAddr::new(ip, DNS_PORT)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_answer_to_the_question_is_passed_over() {
        let ask = |name: &str| question(name.parse().unwrap(), RecordType::TXT);
        let question = ask("a.example.");
        let good = question.clone().into_response();
        let read_it = |answer: &Message| read(&question, &answer.to_vec().unwrap());
        assert!(matches!(read_it(&good), Read::Answer(_)));
        assert!(matches!(read_it(&question), Read::Other), "a question");
        let mut other = good.clone();
        other.metadata.id ^= 1;
        assert!(matches!(read_it(&other), Read::Other), "another id");
        let mut other = ask("b.example.").into_response();
        other.metadata.id = question.metadata.id;
        assert!(matches!(read_it(&other), Read::Other), "another name");
        let mut broken = good.to_vec().unwrap();
        broken.truncate(20);
        assert!(matches!(read(&question, &broken), Read::Broken));
    }

    #[test]
    fn the_systems_resolvers_are_read() {
        let text = "# nameserver 192.0.2.1\nsearch example\n nameserver 192.0.2.53 # ours\nnameserver 2001:db8::53\n\
                    nameserver fe80::1%eth0\nnameserver\n";
        let found: Vec<String> = name_servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.53:53", "[2001:db8::53]:53"]);
    }
}
