//! The web: a real nginx, and servers that misbehave.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;

use super::{Ended, Place, list, map, write_new};
use crate::world::server;

#[test]
fn a_real_web_server_is_asked_only_for_what_is_new() {
    let Some(base) = server("NOROSHI_TEST_NGINX") else { return };
    let folder = PathBuf::from(std::env::var("NOROSHI_TEST_NGINX_FOLDER").unwrap());
    let name = format!("list-{}.csv", std::process::id());
    let file = folder.join("files").join(&name);
    std::fs::write(&file, list(0..500)).unwrap();
    let source = format!("[source.web]\nformat = \"dated\"\nurl = \"{base}/{name}\"\n");
    let place = Place::with(&source);
    map(&place);
    let first = place.once("web");
    assert_eq!((&first["stored"], &first["items"]), (&500.into(), &1.into()), "{first}");
    assert!(first["bytes"].as_u64().unwrap() < 5000, "it came packed: {first}");
    let again = place.once("web");
    assert_eq!((&again["unchanged"], &again["read"]), (&true.into(), &0.into()), "{again}");
    let status = place.status("web");
    assert!(status["etag"].as_str().unwrap().starts_with("W/"), "packed, so its validator is weak: {status}");
    assert_eq!(
        (&status["runs"], &status["unchanged"], &status["stored"]),
        (&2.into(), &1.into(), &500.into())
    );

    std::fs::write(&file, list(0..501)).unwrap();
    let more = place.once("web");
    assert_eq!((&more["stored"], &more["duplicate"]), (&1.into(), &500.into()), "{more}");

    place.configure(&format!("{source}params = {{ note = \"read differently\" }}\n"));
    assert_eq!(place.once("web")["unchanged"], false, "what is read differently is fetched whole");
    let log = std::fs::read_to_string(folder.join("access.log")).unwrap();
    let answers: Vec<&str> =
        log.lines().filter(|l| l.contains(&name)).filter_map(|l| l.split(' ').nth(2)).collect();
    assert_eq!(answers, ["200", "304", "200", "200"]);
    assert_eq!(place.counts().0, 501);
    assert_eq!(place.spooled("web"), Vec::<String>::new());
}

#[test]
fn killed_at_any_moment_what_was_fetched_is_there_once_and_nothing_is_left_over() {
    let Some(base) = server("NOROSHI_TEST_NGINX") else { return };
    let folder = PathBuf::from(std::env::var("NOROSHI_TEST_NGINX_FOLDER").unwrap());
    let name = format!("kill-{}.csv", std::process::id());
    let file = folder.join("files").join(&name);
    let place = Place::with(&format!("[source.web]\nformat = \"dated\"\nurl = \"{base}/{name}\"\n"));
    map(&place);
    let mut published = 0;
    let mut more = || {
        published += 12_000;
        write_new(&file, &list(0..published));
    };
    let (mut ended_so_far, mut resumed) = (0, 0);
    for _ in 0..5 {
        more();
        place.kill_often("web", 24, |ended| {
            ended_so_far += 1;
            if ended == Ended::Killed {
                resumed += usize::from(place.spooled("web").iter().any(|name| name.ends_with(".body")));
            }
            if ended == Ended::Done || ended_so_far % 3 == 0 {
                more();
            }
        });
        if resumed > 0 {
            break;
        }
    }
    place.once("web");
    let (events, [read, stored, duplicate, filtered, quarantined]) = place.counts();
    assert_eq!((events, stored, filtered, quarantined), (i64::from(published), i64::from(published), 0, 0));
    assert_eq!(read, stored + duplicate);
    assert_eq!(place.spooled("web"), Vec::<String>::new());
    assert!(resumed > 0, "never was there a body in the spool");
}

#[test]
fn tls_is_checked_against_the_certificates_named() {
    let Some(base) = server("NOROSHI_TEST_NGINX_TLS") else { return };
    let folder = PathBuf::from(std::env::var("NOROSHI_TEST_NGINX_FOLDER").unwrap());
    let name = format!("tls-{}.csv", std::process::id());
    std::fs::write(folder.join("files").join(&name), list(0..5)).unwrap();
    let source = format!("[source.web]\nformat = \"dated\"\nurl = \"{base}/{name}\"\n");
    let place = Place::with(&source);
    map(&place);
    let told = place.fails("web");
    assert!(told.contains("certificate") || told.contains("UnknownIssuer"), "{told}");
    place.configure(&format!("{source}ca-file = \"{}\"\n", folder.join("cert.pem").display()));
    assert_eq!(place.once("web")["stored"], 5);
}

/// A server that answers each request with the next of some texts; what it was asked.
fn answering(answers: Vec<String>) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut request = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while lines.read_line(&mut request).is_ok_and(|n| n > 2) {}
            tell.send(request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (at, asked)
}

#[test]
fn servers_that_misbehave_are_told_of_and_nothing_of_theirs_is_taken() {
    let body = list(0..10);
    let whole = |more: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{more}\r\n{body}", body.len());
    let cases: [(String, &str); 6] = [
        ("HTTP/1.1 503 Busy\r\nretry-after: 700\r\ncontent-length: 0\r\n\r\n".into(), "503"),
        ("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n".into(), "password-file"),
        (whole("").replace(&format!("length: {}", body.len()), "length: 9999"), "broke off"),
        (
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2:1/\r\ncontent-length: 0\r\n\r\n".into(),
            "redirects to 127.0.0.2",
        ),
        ("HTTP/1.1 304 Same\r\n\r\n".into(), "304"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz".into(), "broke off"),
    ];
    for (answer, told) in cases {
        let (at, _asked) = answering(vec![answer.clone(), whole("etag: \"1\"\r\n")]);
        let place = Place::with(&format!("[source.web]\nformat = \"dated\"\nurl = \"{at}/list\"\n"));
        map(&place);
        let said = place.fails("web");
        assert!(said.contains(told), "{answer}: {said}");
        assert_eq!(place.spooled("web"), Vec::<String>::new(), "{answer}");
        let status = place.status("web");
        assert_eq!(status["failures"], 1);
        let time = |key: &str| status[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let pause = time("retry").duration_since(time("tried")).as_secs();
        let expected = if told == "503" {
            700..=760
        } else if told == "broke off" {
            30..=90
        } else {
            3600..=3660
        };
        assert!(expected.contains(&pause), "{answer}: {pause} s");
        assert_eq!(place.once("web")["stored"], 10, "after {answer}");
        let status = place.status("web");
        assert_eq!((&status["failures"], &status["error"]), (&0.into(), &"".into()));
    }
}

#[test]
fn a_body_beyond_the_bound_or_unreadable_is_refused_and_secrets_go_where_they_should() {
    let body = "x".repeat(2000);
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n{body}");
    let torn = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n\u{1f}".to_owned() + "not a gzip!";
    let (at, asked) = answering(vec![long, torn.replace('\u{1f}', "BZh")[..50 - 3].to_owned()]);
    let place = Place::with("");
    std::fs::write(place.path("key"), "s3cret\n").unwrap();
    place.configure(&format!(
        "[source.web]\nformat = \"dated\"\nurl = \"{at}/{{secret}}/list\"\nmax-bytes = 1000\nsecret-file = \"{}\"\n\
         headers = {{ auth-key = \"k-{{secret}}\" }}\n",
        place.path("key").display()
    ));
    map(&place);
    let said = place.fails("web");
    assert!(said.contains("more than 1000 bytes") && !said.contains("s3cret"), "{said}");
    assert_eq!(place.spooled("web"), Vec::<String>::new());
    let request = asked.recv().unwrap();
    assert!(request.starts_with("GET /s3cret/list") && request.contains("auth-key: k-s3cret"), "{request}");
    let said = place.fails("web");
    assert!(said.contains("kept as") || said.contains("broke off"), "{said}");
    assert!(!place.status("web").to_string().contains("s3cret"));
}
