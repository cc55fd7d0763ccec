//! Over TLS, HTTPS and QUIC, asked by Knot's `kdig`, which checks the certificate.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use noroshi_resolver::message::{Asking, write_question};

use super::world::{Running, name, others, port, until};

/// A certificate of its own, and its key.
fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName=DNS:{name}")])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

fn kdig(port: u16, name: &str, authority: &Path, how: &[&str], asked: &str) -> String {
    let output = Command::new("kdig")
        .args(["@127.0.0.1", "-p", &port.to_string(), "+retry=0", "+timeout=5"])
        .arg(format!("+tls-ca={}", authority.display()))
        .arg(format!("+tls-hostname={name}"))
        // The last says how it goes: those before mean TLS.
        .args(how)
        .args(["A", asked])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn kdig_asks_over_tls_https_and_quic() {
    if others().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = certificate(folder.path(), "resolver.test");
    let list = folder.path().join("list.zone");
    std::fs::write(
        &list,
        "$TTL 77\n@ SOA ns. host. 1 1 1 1 1\nbad.example A 192.0.2.80\nno.example CNAME rpz-drop.\n",
    )
    .unwrap();
    let [tls, https, quic] = [port(), port(), port()];
    let lines = format!(
        "forward = [\"127.0.0.1:9\"]\nlisten-tls = [\"127.0.0.1:{tls}\"]\nlisten-https = [\"127.0.0.1:{https}\"]\nlisten-quic = [\"127.0.0.1:{quic}\"]\n"
    );
    let tables = format!(
        "[resolver.tls]\ncertificate = {chain:?}\nkey = {key:?}\n[[resolver.rpz]]\nname = \"rpz.\"\nfile = {list:?}\n"
    );
    let ours = Running::start(&lines, &tables);
    let ways: [(u16, &[&str]); 4] =
        [(tls, &["+tls"]), (https, &["+https"]), (https, &["+https", "+https-get"]), (quic, &["+quic"])];
    for (port, how) in ways {
        let how = [how, &["+padding"]].concat();
        let told = kdig(port, "resolver.test", &chain, &how, "bad.example.");
        assert!(told.contains("192.0.2.80"), "{how:?}: {told}");
        assert!(told.contains("Received 468 B"), "{how:?} is not padded: {told}");
        let silent =
            kdig(port, "resolver.test", &chain, &[how.as_slice(), &["+timeout=1"]].concat(), "no.example.");
        assert!(!silent.contains("HEADER"), "{how:?}: {silent}");
    }
    let told = ours.asked(&["status"]);
    let counted = |transport: &str| told["queries"][transport].as_u64();
    assert_eq!(["tls", "https", "quic"].map(counted), [Some(2), Some(4), Some(2)], "{told}");

    let (connect, agent) = (format!("https://127.0.0.1:{https}"), agent());
    let status = |result: Result<_, ureq::Error>| match result {
        Ok(_) => 200,
        Err(ureq::Error::StatusCode(status)) => status,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(status(agent.get(format!("{connect}/other")).call()), 404);
    assert_eq!(status(agent.get(format!("{connect}/dns-query")).call()), 400);
    assert_eq!(status(agent.get(format!("{connect}/dns-query?dns=AAA")).call()), 400);
    assert_eq!(status(agent.delete(format!("{connect}/dns-query")).call()), 405);
    let post = |media_type: &str, octets: &[u8]| {
        agent.post(format!("{connect}/dns-query")).content_type(media_type).send(octets)
    };
    let question = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x03bad\x07example\0\0\x01\0\x01";
    assert_eq!(status(post("text/plain", question)), 415);
    assert_eq!(status(post("application/dns-message", &[0; 5000])), 413);
    let answered = post("application/dns-message", question).unwrap();
    assert_eq!(answered.headers()["cache-control"], "private, max-age=77");

    // Another certificate is taken while it runs; one that is none is told, and the other stays.
    certificate(folder.path(), "other.test");
    assert_eq!(ours.asked(&["reload"])[0]["rules"], 2);
    for (port, how) in ways {
        assert!(kdig(port, "other.test", &chain, how, "bad.example.").contains("192.0.2.80"), "{how:?}");
        assert!(!kdig(port, "resolver.test", &chain, how, "bad.example.").contains("192.0.2.80"), "{how:?}");
    }
    std::fs::write(&key, "no key").unwrap();
    assert!(ours.refused(&["reload"]).contains("key.pem"));
    assert!(kdig(tls, "other.test", &chain, &["+tls"], "bad.example.").contains("192.0.2.80"));
}

/// Looks at no certificate: what is asked here is what requests are answered.
fn agent() -> ureq::Agent {
    let tls = ureq::tls::TlsConfig::builder().disable_verification(true).build();
    ureq::Agent::config_builder().tls_config(tls).timeout_global(Some(Duration::from_secs(5))).build().into()
}

#[test]
fn connections_that_say_nothing_or_are_too_many_are_ended() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.zone");
    std::fs::write(&list, "@ SOA ns. host. 1 1 1 1 1\nbad.example CNAME .\n").unwrap();
    let tables = format!("[[resolver.rpz]]\nname = \"rpz.\"\nfile = {list:?}\n");
    let ours = Running::start("forward = [\"127.0.0.1:9\"]\n", &tables);
    let connect = || {
        TcpStream::connect(("127.0.0.1", ours.port)).unwrap_or_else(|error| panic!("{error}: {}", ours.log()))
    };
    let ended = |mut stream: &TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        match stream.read(&mut [0; 16]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    };
    // A length, and a part of the message.
    let mut half = connect();
    half.write_all(&[0, 40, 1, 2, 3]).unwrap();
    // 64 from one address.
    let many: Vec<_> = (0..70).map(|_| connect()).collect();
    until("the end of those that are too many", || {
        (many.iter().filter(|stream| ended(stream)).count() >= 7).then_some(())
    });
    until("the end of half a message", || ended(&half).then_some(()));
    // They make room when they go.
    drop(many);
    let mut question = vec![0, 0];
    let asking = Asking { rtype: 1, recursion: true, dnssec_ok: false, checking_disabled: false };
    write_question(&mut question, 7, &name("bad.example."), asking, 1232);
    question[1] = question.len() as u8 - 2;
    until("an answer", || {
        let mut stream = connect();
        stream.write_all(&question).ok()?;
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).ok()?;
        assert_eq!((answer[3], answer[5] & 15), (7, 3));
        Some(())
    });
}
