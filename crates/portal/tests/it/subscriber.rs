//! The subscriber's way: read, ask for the steps, do them, say so; or stop; or come with a link that opens
//! nothing.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use noroshi_model::VisitKind;
use noroshi_portal::desk::GardenNote;
use noroshi_portal::subscriber_pages;

use super::desk::{DOWN, EXPIRED, InMemory, Kept, TOKEN};
use super::{get, portal, post, request, send};

fn page(rest: &str) -> String {
    format!("/n/{TOKEN}{rest}")
}

#[tokio::test]
async fn the_notice_says_in_japanese_what_was_seen_why_we_may_tell_and_how_to_check() {
    let (_, router) = portal(Kept::Usual);
    let answer = get(&router, &page("")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-language"), "ja");
    for text in [
        "<html lang=\"ja\">",
        "2026-11-20 12:12 JST",
        "203.0.113.77",
        "1,234 回",
        "ルーター、ネットワークカメラ",
        "のろしネット",
        "緊急避難",
        "AB3D-9XK2",
        "お客様センター 0120-000-000",
        "2026-12-20 12:12 JST まで",
        "手順を見る",
        &format!("action=\"/n/{TOKEN}/steps\""),
        &format!("href=\"/n/{TOKEN}?lang=en\""),
    ] {
        answer.says(text);
    }
    answer.says_not("電源を入れ直す");
    answer.says_not("対応しました");
}

#[tokio::test]
async fn the_notice_says_the_same_in_english_and_keeps_the_language_on_its_links() {
    let (_, router) = portal(Kept::Usual);
    let answer = get(&router, &page("?lang=en")).await;
    for text in [
        "<html lang=\"en\">",
        "2026-11-20 12:12 JST",
        "To avert the present danger",
        "Show the steps",
        "a router, network camera",
        &format!("action=\"/n/{TOKEN}/steps?lang=en\""),
        &format!("href=\"/n/{TOKEN}/opt-out?lang=en\""),
        &format!("href=\"/n/{TOKEN}?lang=ja\""),
    ] {
        answer.says(text);
    }
}

#[tokio::test]
async fn the_language_is_the_chosen_one_else_the_browsers_else_japanese() {
    let (_, router) = portal(Kept::Usual);
    for (query, sent, expected) in [
        ("", None, "ja"),
        ("", Some("en-GB,en;q=0.9,ja;q=0.2"), "en"),
        ("", Some("fr"), "ja"),
        ("?lang=ja", Some("en"), "ja"),
        ("?lang=<x>", Some("en"), "en"),
        ("?lang=de", Some("en"), "en"),
        ("?lang=ja-x-easy", None, "ja-x-easy"),
        ("?lang=en-US", None, "en"),
    ] {
        let mut asked = request("GET", &page(query).replace('<', "%3C").replace('>', "%3E"));
        if let Some(sent) = sent {
            asked.headers_mut().insert(header::ACCEPT_LANGUAGE, sent.parse().unwrap());
        }
        assert_eq!(send(&router, asked).await.header("content-language"), expected, "{query} {sent:?}");
    }
}

#[tokio::test]
async fn the_code_in_a_notice_leads_to_its_page_and_another_is_told_apart_from_an_old_one() {
    let (_, router) = portal(Kept::Usual);
    let typed = |query: &str, body: &str| {
        let mut asked = request("POST", &format!("/code{query}"));
        asked
            .headers_mut()
            .insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        *asked.body_mut() = body.to_owned().into();
        asked
    };
    let answer = send(&router, typed("?lang=en", &format!("code={}", super::desk::CODE))).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, page("?lang=en").as_str()));
    for (body, says) in [
        ("code=ABCD", "There is no notice with this code"),
        ("code=%3Cscript%3E", "There is no notice with this code"),
        ("", "There is no notice with this code"),
        ("code=old", "This code has expired"),
    ] {
        let answer = send(&router, typed("?lang=en", body)).await;
        assert_eq!(answer.status, 422, "{body}");
        answer.says(says);
        answer.says("aria-invalid=\"true\"");
        assert!(!answer.body.contains("<script>"), "what was typed is not said back");
    }
    assert_eq!(send(&router, typed("", "code=down")).await.status, 503);
    get(&router, "/?lang=en").await.says("for=\"code\"");
    get(&router, "/code?lang=en").await.says("for=\"code\"");
}

#[tokio::test]
async fn opening_any_page_acts_never() {
    let (desk, router) = portal(Kept::Usual);
    for rest in ["", "/steps", "/done", "/opt-out", "?lang=en"] {
        for method in ["GET", "HEAD"] {
            let answer = send(&router, request(method, &page(rest))).await;
            assert!(answer.status.is_success() || answer.status == StatusCode::SEE_OTHER, "{method} {rest}");
            assert!(method == "GET" || answer.body.is_empty());
        }
    }
    assert!(desk.acts().is_empty());
    assert!(desk.visits.lock().unwrap().len() >= 4);
}

#[tokio::test]
async fn the_steps_come_when_asked_for_and_then_it_can_be_said_that_they_are_done() {
    let (desk, router) = portal(Kept::Usual);
    let answer = post(&router, &page("/steps?lang=en")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("location"), page("?lang=en#steps"));

    let answer = get(&router, &page("?lang=en")).await;
    answer.says("Switch it off and on");
    answer.says("I did it");
    answer.says(&format!("action=\"/n/{TOKEN}/done?lang=en\""));
    answer.says_not("Show the steps");

    let answer = post(&router, &page("/done")).await;
    assert_eq!(answer.header("location"), page("#standing"));
    let answer = get(&router, &page("")).await;
    answer.says("ご連絡ありがとうございました");
    answer.says("14 日間");
    answer.says("電源を入れ直す");
    answer.says_not("/done");
    assert_eq!(desk.acts(), [VisitKind::Steps, VisitKind::Done]);
}

#[tokio::test]
async fn stopping_is_asked_about_before_it_is_done() {
    let (desk, router) = portal(Kept::Usual);
    let answer = get(&router, &page("/opt-out?lang=en")).await;
    answer.says("Stop these notices?");
    answer.says("we will not tell you");
    answer.says(&format!("action=\"/n/{TOKEN}/opt-out?lang=en\""));
    answer.says(&format!("href=\"/n/{TOKEN}/opt-out?lang=ja\""));
    assert!(desk.acts().is_empty());

    let answer = post(&router, &page("/opt-out")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(desk.acts(), [VisitKind::OptOut]);
    let answer = get(&router, &page("")).await;
    answer.says("配信を停止しました");
    answer.says_not("/opt-out\"");
}

#[tokio::test]
async fn a_link_that_opens_nothing_is_answered_in_both_languages_and_without_saying_why() {
    let (desk, router) = portal(Kept::Usual);
    let mut bodies = Vec::new();
    let long = "x".repeat(500);
    for token in ["forged", "a.b.c", "%3Cscript%3E", "%ff", "%00", "..", long.as_str()] {
        for rest in ["", "/opt-out"] {
            let answer = get(&router, &format!("/n/{token}{rest}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{token}{rest}");
            answer.says("このリンクではページを開けません");
            answer.says("This link does not open a page");
            bodies.push(answer.body);
        }
        let answer = post(&router, &format!("/n/{token}/done")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{token}");
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "one page for every forgery");
    assert!(desk.visits.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_expired_link_is_gone_and_says_what_to_do() {
    let (_, router) = portal(Kept::Usual);
    let answer = get(&router, &format!("/n/{EXPIRED}?lang=en")).await;
    assert_eq!(answer.status, StatusCode::GONE);
    answer.says("<html lang=\"en\">");
    answer.says("This link has expired");
    answer.says("このリンクの期限が過ぎました");
    assert_eq!(post(&router, &format!("/n/{EXPIRED}/done")).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_told_as_ours_and_nothing_lost() {
    let (_, router) = portal(Kept::Usual);
    let answer = get(&router, &format!("/n/{DOWN}?lang=en")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "30");
    answer.says("Nothing was lost");
    answer.says("記録は失われていません");
    answer.says_not("secret reason");
}

#[tokio::test]
async fn what_is_too_large_or_too_long_is_not_read() {
    let (desk, router) = portal(Kept::Usual);
    let body = Body::from(vec![b'x'; noroshi_portal::guard::BODY_BYTES_MAX + 1]);
    let large = Request::builder().method("POST").uri(page("/done")).body(body).unwrap();
    assert_eq!(send(&router, large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(desk.acts().is_empty());
    let long = format!("/{}", "a".repeat(noroshi_portal::guard::PATH_BYTES_MAX));
    assert_eq!(get(&router, &long).await.status, StatusCode::URI_TOO_LONG);
}

#[tokio::test]
async fn the_first_page_explains_and_asks_for_nothing_but_the_code() {
    let (_, router) = portal(Kept::Usual);
    let answer = get(&router, "/?lang=en").await;
    answer.says("There is nothing else to enter here");
    assert_eq!((answer.body.matches("<input").count(), answer.body.matches("<form").count()), (1, 1));
    answer.says("<input id=\"code\"");
    get(&router, "/").await.says("お知らせが本物か確かめるには");
}

#[tokio::test]
async fn no_page_for_subscribers_sets_a_cookie() {
    let (_, router) = portal(Kept::Usual);
    for path in [
        "/".to_owned(),
        "/transparency".into(),
        page(""),
        page("?lang=en"),
        page("/opt-out"),
        "/nothing".to_owned(),
    ] {
        assert_eq!(get(&router, &path).await.header("set-cookie"), "");
    }
    assert_eq!(post(&router, &page("/steps")).await.header("set-cookie"), "");
}

#[tokio::test]
async fn anybody_may_read_how_many_were_touched_by_which_measure_and_what_was_refused() {
    let (desk, router) = portal(Kept::Usual);
    get(&router, "/").await.says("href=\"/transparency\"");
    let answer = get(&router, "/transparency").await;
    assert_eq!((answer.status, answer.header("content-language")), (StatusCode::OK, "ja"));
    for text in [
        "のろしネット",
        "テイクダウンされたC&#38;Cサーバ",
        "<dt>確認した契約者の数(重複を除く)</dt><dd>3,420</dd>",
        "<dt>契約者の希望により取りやめた回数</dt><dd>5 未満</dd>",
        "<code>purpose-limitation</code></dt><dd>5 未満</dd>",
        "<code>field-minimisation</code></dt><dd>17</dd>",
        "log.example\n1206",
        "href=\"/transparency?lang=en\"",
    ] {
        answer.says(text);
    }
    let answer = get(&router, "/transparency?lang=en").await;
    for text in [
        "<html lang=\"en\">",
        "C&#38;C server that was taken down",
        "<dt>Looks at sealed data</dt><dd>24,680</dd>",
        "fewer than 5",
        "1,206 entries",
        "evidence verify --tiles",
        "<b>0</b>",
    ] {
        answer.says(text);
    }
    answer.says_not("<form");
    answer.says_not("<script");
    assert!(desk.visits.lock().unwrap().is_empty());
}

#[tokio::test]
async fn where_nothing_was_done_yet_the_page_says_so() {
    let (_, router) = portal(Kept::Nothing);
    let answer = get(&router, "/transparency?lang=en").await;
    answer.says("Nothing was recorded yet");
    answer.says_not("newest signed state");
}

#[tokio::test]
async fn a_device_in_the_garden_is_told_so_by_its_address_as_rfc_8908_says() {
    let (_, router) = portal(Kept::Usual);
    let asked = |peer: &str, forwarded: Option<&str>| {
        let mut request = request("GET", "/captive-portal/api");
        let peer: std::net::SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        if let Some(forwarded) = forwarded {
            request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        }
        request
    };
    for (peer, forwarded, captive) in [
        ("100.64.0.9:999", None, true),
        ("[::ffff:100.64.0.9]:999", None, true),
        ("198.51.100.7:999", None, false),
        ("127.0.0.1:999", Some("100.64.0.9"), true),
        ("127.0.0.1:999", Some("198.51.100.7, 100.64.0.9"), true),
        // What a client writes itself counts for nothing.
        ("127.0.0.1:999", Some("100.64.0.9, 198.51.100.7"), false),
        ("198.51.100.7:999", Some("100.64.0.9"), false),
        ("127.0.0.1:999", Some("nonsense"), false),
    ] {
        let answer = send(&router, asked(peer, forwarded)).await;
        assert_eq!(answer.header("content-type"), "application/captive+json");
        assert!(answer.header("cache-control").contains("no-store"));
        let said: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(said["captive"], captive, "{peer} {forwarded:?}");
        assert!(said["user-portal-url"].as_str().unwrap().starts_with("https://"));
    }
}

#[tokio::test]
async fn one_place_may_not_ask_for_everything_and_the_others_notice_nothing() {
    let texts = Arc::new(noroshi_portal::subscriber::texts().unwrap());
    let router = subscriber_pages(Arc::new(InMemory::new(Kept::Usual)), texts, 2);
    let asked = async |peer: &str, forwarded: Option<&str>| {
        let mut request = request("GET", "/");
        let peer: std::net::SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        if let Some(forwarded) = forwarded {
            request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        }
        send(&router, request).await
    };
    // Ten seconds' worth at once; neighbours in one IPv6 network are one place, whatever the last bits.
    for (place, same, other) in [
        (("198.51.100.7:9", None), ("198.51.100.7:10", None), ("198.51.100.8:9", None)),
        (("[2001:db8:1:2::1]:9", None), ("[2001:db8:1:2:3::4]:9", None), ("[2001:db8:1:3::1]:9", None)),
        (
            ("127.0.0.1:9", Some("192.0.2.1")),
            ("127.0.0.1:9", Some("9.9.9.9, 192.0.2.1")),
            ("127.0.0.1:9", Some("192.0.2.2")),
        ),
    ] {
        for _ in 0..20 {
            assert_eq!(asked(place.0, place.1).await.status, StatusCode::OK, "{place:?}");
        }
        let turned = asked(same.0, same.1).await;
        assert_eq!(
            (turned.status, turned.header("retry-after")),
            (StatusCode::TOO_MANY_REQUESTS, "1"),
            "{same:?}"
        );
        turned.says("Too many requests from your network");
        turned.says("お使いの回線からのアクセスが多すぎます");
        assert_eq!(asked(other.0, other.1).await.status, StatusCode::OK, "{other:?}");
    }
    // A proxy that does not say for whom it asks is not everybody at once.
    for _ in 0..100 {
        assert_eq!(asked("127.0.0.1:9", None).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn the_garden_has_a_page_in_every_language_and_a_way_out_that_is_a_deliberate_act() {
    let (desk, router) = portal(Kept::Usual);
    for lang in ["ja", "en", "ja-x-easy"] {
        let page = get(&router, &format!("/garden?lang={lang}")).await;
        page.says("name=\"code\"");
        page.says("0120-000-000");
        page.says_not("garden-");
    }
    let note = GardenNote { until: "2026-12-20T00:00:00Z".parse().unwrap(), left: 1, leaving: false };
    *desk.garden.lock().unwrap() = Some(note);
    let page = get(&router, &format!("/n/{TOKEN}?lang=en")).await;
    page.says(&format!("action=\"/n/{TOKEN}/release?lang=en\""));
    page.says("2026-12-20 09:00 JST");
    let answer = post(&router, &format!("/n/{TOKEN}/release")).await;
    assert_eq!(answer.header("location"), format!("/n/{TOKEN}#garden"));
    assert_eq!(desk.acts().last(), Some(&VisitKind::Release));
    *desk.garden.lock().unwrap() = Some(GardenNote { left: 0, ..note });
    get(&router, &format!("/n/{TOKEN}?lang=en")).await.says_not("/release");
    *desk.garden.lock().unwrap() = Some(GardenNote { leaving: true, ..note });
    get(&router, &format!("/n/{TOKEN}?lang=en")).await.says_not("/release");
}

#[tokio::test]
async fn a_radius_server_is_told_of_a_line_that_connects_whether_it_is_restricted() {
    let desk = std::sync::Arc::new(InMemory::new(Kept::Usual));
    let router = noroshi_portal::radius_page(desk);
    let asked = |body: &'static str| {
        let request = axum::http::Request::builder().method("POST").uri("/authorize");
        request.body(axum::body::Body::from(body)).unwrap()
    };
    let restricted = send(&router, asked(r#"{"User-Name":{"type":"string","value":["sub1"]}}"#)).await;
    let said: serde_json::Value = serde_json::from_str(&restricted.body).unwrap();
    assert_eq!(said["reply:Filter-Id"]["value"][0], "garden");
    let free = send(&router, asked(r#"{"User-Name":"sub2"}"#)).await;
    assert_eq!((free.status.as_u16(), free.body.as_str()), (204, ""));
    for wrong in ["", "{}", "[]", r#"{"User-Name":7}"#, r#"{"User-Name":{"value":[]}}"#] {
        assert_eq!(send(&router, asked(wrong)).await.status.as_u16(), 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_cleaner_is_fetched_from_the_page_and_its_address_says_nothing_about_anybody() {
    let (desk, router) = portal(Kept::Usual);
    post(&router, &page("/steps")).await;
    let shown = get(&router, &page("?lang=en")).await;
    shown.says(&"ab".repeat(32));
    shown.says(&format!("action=\"/n/{TOKEN}/cleaner/0?lang=en\""));
    let wanted = post(&router, &page("/cleaner/0")).await;
    assert_eq!(
        (wanted.status, wanted.header("location")),
        (StatusCode::SEE_OTHER, "/cleaner/0/clean-1.0.exe")
    );
    assert_eq!(desk.acts().last(), Some(&VisitKind::Tool));
    let file = get(&router, "/cleaner/0/clean-1.0.exe").await;
    assert_eq!((file.status, file.body.as_str()), (StatusCode::OK, "MZ"));
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"clean-1.0.exe\"");
    assert_eq!(file.header("etag"), format!("\"{}\"", "ab".repeat(32)));
    let elsewhere = post(&router, &page("/cleaner/1")).await;
    assert_eq!(elsewhere.header("location"), "https://a.example/x");
    let before = desk.acts().len();
    for wrong in
        ["/cleaner/7/x", "/cleaner/1/clean-1.0.exe", "/cleaner/0/other.exe", "/cleaner/x/clean-1.0.exe"]
    {
        assert_eq!(get(&router, wrong).await.status, StatusCode::NOT_FOUND, "{wrong}");
    }
    assert_eq!(post(&router, &page("/cleaner/7")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(post(&router, "/n/forged/cleaner/0").await.status, StatusCode::NOT_FOUND);
    assert_eq!(desk.acts().len(), before, "nothing of this counts");
}

#[tokio::test]
async fn who_asks_is_told_whether_it_was_seen_again_and_who_helps() {
    let (_, router) = portal(Kept::Usual);
    let before = get(&router, &page("?lang=en")).await;
    before.says_not("has not been seen since");
    before.says("href=\"https://help.example.jp/\"");
    let asked = post(&router, &page("/check?lang=en")).await;
    assert_eq!(asked.header("location"), format!("/n/{TOKEN}?lang=en#check"));
    let after = get(&router, &page("?lang=en")).await;
    after.says("It has not been seen since 2026-11-20 12:12 JST");
    after.says("others were seen until 2026-11-24 12:12 JST");
}
