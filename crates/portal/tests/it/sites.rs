//! Sites that do harm: what is shown of them, in two languages, and what is said of them by whom.

use axum::http::StatusCode;
use noroshi_model::Lang;
use noroshi_portal::Cursor;
use noroshi_portal::desk::*;

use super::LoggedIn;
use super::desk::{InMemory, Kept, nth};

/// A site on a host that is popular as a whole: one person is not enough.
pub const POPULAR: &str = "popular.example";

fn address(n: u64) -> String {
    format!("site-{n:03}.example/a?b={n}")
}

impl InMemory {
    fn site_line(&self, n: u64) -> SiteLine {
        SiteLine {
            address: self.text(&address(n)),
            defanged: self.text(&address(n).replace('.', "[.]")),
            state: SITE_STATES[n as usize % SITE_STATES.len()].into(),
            changed: nth(n + 20),
            first: nth(n),
            last: nth(n + 10),
            life: (n % 2 == 1).then(|| ("gone".into(), nth(n + 30))),
            person: self.text(["", "Aoki"][n as usize % 2]),
            why: self.text(["", "reported by its bank"][n as usize % 2]),
        }
    }
}

impl Sites for InMemory {
    fn sites(
        &self,
        filter: &SiteFilter,
        behind: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<SiteLine>, DeskError> {
        let all = self.list(0, u32::MAX, |n| self.site_line(n))?;
        let after = behind.and_then(|cursor| cursor.keys.first().cloned()).unwrap_or_default();
        let fits = |site: &SiteLine| {
            site.address > after
                && filter.state.as_ref().is_none_or(|state| *state == site.state)
                && filter.text.as_ref().is_none_or(|text| site.address.contains(text))
                && filter.source.as_ref().is_none_or(|source| source == "phish-list")
        };
        Ok(all.into_iter().filter(fits).take(limit as usize).collect())
    }

    fn site(&self, wanted: &str, lang: Lang) -> Result<SitePage, DeskError> {
        let all = self.sites(&SiteFilter::default(), None, u32::MAX)?;
        let site = all.into_iter().find(|site| site.address == wanted).ok_or(DeskError::NotFound)?;
        let words =
            if lang == Lang::JA { "「bank」という言葉を含む" } else { "it has the word bank" };
        let objection = |answer| SiteObjectionLine {
            at: nth(5),
            by_whom: self.text("its owner"),
            said: self.text("we are a shop"),
            answer,
        };
        Ok(SitePage {
            site,
            listings: vec![SiteListingLine {
                source: self.text("phish-list"),
                family: Some(self.text("openphish")),
                threat: self.text("phishing"),
                first: nth(1),
                last: nth(2),
            }],
            objections: vec![
                objection(None),
                objection(Some((self.text("they are not"), self.text("Baba")))),
            ],
            warnings: vec![self.text("popular names")],
            percent: 93.25,
            verdict: self.text("harmful"),
            evidence: vec![(self.text(words), 2.5), (self.text("it does not answer"), -1.5)],
        })
    }

    fn waiting_sites(&self) -> Result<Vec<SiteWaiting>, DeskError> {
        self.list(0, 2, |n| SiteWaiting {
            address: self.text(POPULAR),
            defanged: self.text("popular[.]example"),
            threat: (n == 0).then(|| "scam".into()),
            person: self.text(["Aoki", "analyst"][n as usize % 2]),
            why: self.text("its bank says so"),
            at: nth(n),
        })
    }

    fn judge_site(
        &self,
        address: &str,
        verb: &SiteVerb,
        person: &str,
        why: &str,
    ) -> Result<Option<String>, DeskError> {
        self.up()?;
        if address == POPULAR {
            return Ok(None);
        }
        self.performed.lock().unwrap().push(format!("{verb:?} {address} by {person}: {why}"));
        Ok(Some(address.to_owned()))
    }
}

fn record(n: u64) -> String {
    format!("/sites/record?address=site-{n:03}.example%2Fa%3Fb%3D{n}")
}

#[tokio::test]
async fn the_list_is_filtered_paged_and_leads_to_each_record() {
    let console = LoggedIn::new(InMemory::new(Kept::Many(120))).await;
    let page = console.get("/sites?lang=en").await;
    page.says("Sites that do harm");
    page.says("site-000[.]example/a?b=0");
    page.says("/sites/record?address=site-001.example%2Fa%3Fb%3D1&#38;lang=en");
    page.says_not("href=\"http");
    let mut seen = Vec::new();
    let mut path = "/sites.json?state=listed".to_owned();
    loop {
        let twin = console.get(&path).await.json();
        let sites = twin["sites"].as_array().unwrap().clone();
        assert!(sites.iter().all(|site| site["state"] == "listed"));
        seen.extend(sites.iter().map(|site| site["address"].as_str().unwrap().to_owned()));
        let Some(next) = twin["next"].as_str() else { break };
        path = format!("/sites.json?state=listed&after={next}");
    }
    assert_eq!(seen.len(), 30, "one in four, each once");
    let first = console.get("/sites?state=candidate").await;
    first.says("value=\"candidate\" selected");
    for (filter, count) in
        [("q=site-07", 10), ("q=nowhere", 0), ("source=other", 0), ("state=x&q=site-119", 1)]
    {
        let twin = console.get(&format!("/sites.json?{filter}")).await.json();
        assert_eq!(twin["sites"].as_array().unwrap().len(), count, "{filter}");
    }
    console.get("/sites?q=nowhere").await.says("該当するサイトはありません");
}

#[tokio::test]
async fn a_record_has_its_lists_objections_and_all_that_its_score_is_made_of_in_two_languages() {
    let console = LoggedIn::new(InMemory::new(Kept::Usual)).await;
    let page = console.get(&format!("{}&lang=en", record(1))).await;
    for text in [
        "site-001[.]example/a?b=1",
        "93.2 %: harmful",
        "Aoki",
        "reported by its bank",
        "/sites?source=phish-list&amp;lang=en&",
        "openphish",
        "it has the word bank",
        "+2.50",
        "−1.50",
        "we are a shop",
        "not answered",
        "they are not (Baba)",
        "popular names",
        "two people",
        "gone",
    ] {
        page.says(text);
    }
    let page = console.get(&format!("{}&lang=ja", record(1))).await;
    for text in ["「bank」という言葉を含む", "掲載中", "異議", "未回答", "フィッシング", "応答なし"]
    {
        page.says(text);
    }
    let twin = console.get(&record(1).replace("record?", "record.json?")).await.json();
    assert_eq!([&twin["state"], &twin["listings"][0]["source"]], ["listed", "phish-list"]);
    assert_eq!(console.get("/sites/record?address=no.example").await.status, StatusCode::NOT_FOUND);
    assert_eq!(console.get("/sites/record").await.status, StatusCode::NOT_FOUND);
    page.says_not("<fieldset");
}

#[tokio::test]
async fn nothing_of_a_hostile_site_becomes_markup() {
    let console = LoggedIn::new(InMemory::new(Kept::Hostile)).await;
    let page = console.get("/sites").await;
    page.says("&#60;script&#62;alert(1)");
    page.says_not("<script>alert");
    page.says_not("<img");
    // Its address is longer than any that may be asked for.
    page.says_not("/sites/record");
}
