//! A desk in memory: it knows one notice and a few records, or hostile ones, or none, and remembers who
//! acted.

mod outcomes;

use std::net::IpAddr;
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use noroshi_law::evidence::disclosure::{Disclosure, Figures, Told};
use noroshi_law::evidence::{Digest, Entry, Kind, Record};
use noroshi_law::{Role, Use};
use noroshi_model::guide::{Guide, Guides, Texts};
use noroshi_model::link::LinkError;
use noroshi_model::organisation::{Alert, Organisation, Role as Seeming, Seen};
use noroshi_model::outcome::Recheck;
use noroshi_model::{Case, CaseFilter, CaseState, Id, Lang, Mark, Seek, Tally, VisitKind};
use noroshi_portal::Cursor;
use noroshi_portal::api::{ConsentItem, RefusalItem, StepItem};
use noroshi_portal::desk::*;
use serde_json::json;

/// Leads to the token.
pub const CODE: &str = "7ZQK-M2RX-0WT4-HB9C";
/// Opens the notice.
pub const TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAA.6a5b4c3d.good-mac";
/// Opened it once.
pub const EXPIRED: &str = "AAAAAAAAAAAAAAAAAAAAAA.1.good-mac";
/// Meets a database that does not answer.
pub const DOWN: &str = "AAAAAAAAAAAAAAAAAAAAAA.6a5b4c3d.down";

/// Everything somebody might put into a feed, a file name or a contract to harm who reads it.
pub fn hostile() -> String {
    let long = "長".repeat(10_000);
    format!(
        "<script>alert(1)</script>\"><img src=x onerror=alert(2)>'{{{{7*7}}}}\u{202e}evil\0\u{7}&lt;{long}"
    )
}

#[derive(Clone, Copy, PartialEq)]
pub enum Kept {
    Nothing,
    Usual,
    Hostile,
    /// This many of everything.
    Many(u64),
}

pub struct InMemory {
    pub kept: Kept,
    pub visits: Mutex<Vec<VisitKind>>,
    pub is_down: bool,
    pub garden: Mutex<Option<GardenNote>>,
    pub performed: Mutex<Vec<String>>,
}

/// When the nth row of a list is: one each second.
pub fn nth(n: u64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + n as i64).unwrap()
}

/// How many rows of a list are before what it is read on from.
pub fn after(behind: Option<&Cursor>) -> u64 {
    behind.map_or(0, |cursor| (cursor.at / 1000 - 1_760_000_000) as u64 + 1)
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl InMemory {
    pub fn new(kept: Kept) -> Self {
        Self {
            kept,
            visits: Mutex::new(Vec::new()),
            is_down: false,
            garden: Mutex::new(None),
            performed: Mutex::default(),
        }
    }

    pub fn acts(&self) -> Vec<VisitKind> {
        self.visits.lock().unwrap().iter().copied().filter(|kind| *kind != VisitKind::Opened).collect()
    }

    pub fn text(&self, usual: &str) -> String {
        if self.kept == Kept::Hostile { hostile() } else { usual.to_owned() }
    }

    fn texts(&self, ja: &str, en: &str) -> Texts {
        let texts = [(Lang::JA, self.text(ja)), (Lang::EN, self.text(en))];
        Texts::of_operator(texts.into()).unwrap()
    }

    pub fn up(&self) -> Result<(), DeskError> {
        if self.is_down { Err(DeskError::Unavailable("the disk <b>is full</b>".into())) } else { Ok(()) }
    }

    pub fn list<T>(&self, offset: u64, limit: u32, one: impl Fn(u64) -> T) -> Result<Vec<T>, DeskError> {
        self.up()?;
        let all = match self.kept {
            Kept::Nothing => 0,
            Kept::Usual => 4,
            Kept::Hostile => 1,
            Kept::Many(n) => n,
        };
        Ok((offset..all.min(offset.saturating_add(limit.into()))).map(one).collect())
    }

    fn counted<T>(&self, most: u32, one: impl Fn(u64) -> T) -> Result<AsOf<Vec<T>>, DeskError> {
        Ok(AsOf { at: at("2026-11-24T03:12:00Z"), value: self.list(0, most, one)? })
    }

    fn guide(&self) -> Guide {
        if self.kept != Kept::Hostile {
            return Guides::shipped().unwrap().family("mirai").clone();
        }
        let each =
            || std::collections::BTreeMap::from(noroshi_model::Lang::WRITTEN.map(|lang| (lang, hostile())));
        let both = || Texts::try_from(each()).unwrap();
        let mut guide = Guides::shipped().unwrap().family("mirai").clone();
        (guide.name, guide.device, guide.about) = (both(), both(), both());
        guide.steps.iter_mut().for_each(|step| (step.title, step.body) = (both(), both()));
        guide
    }

    fn one_case(&self, n: u64) -> Case {
        let states = CaseState::ALL;
        Case {
            id: Id::of("case", &[&n.to_be_bytes()]),
            party: self.text("Yk3v9Qd0sWm2"),
            family: self.text("mirai"),
            campaign: self.text("shadowserver-sinkhole.mirai"),
            measure: self.text("takedown-notice"),
            state: states[usize::try_from(n).unwrap() % states.len()],
            opened: at("2026-11-20T04:00:00Z") - SignedDuration::from_hours(n as i64),
            first_seen: at("2026-11-19T18:12:00Z"),
            last_seen: at("2026-11-20T03:12:00Z"),
            steps: 2,
            last_step: Some(at("2026-11-20T05:00:00Z")),
            next: None,
            held_out_until: None,
            closed: None,
            reinfected: n == 3,
            held_by: None,
            merged_into: None,
            forgotten: None,
        }
    }
}

impl Desk for InMemory {
    fn token_of_code(&self, code: &str) -> Result<String, DeskError> {
        match code.trim() {
            CODE => self.up().map(|()| TOKEN.to_owned()),
            "old" => Err(LinkError::Expired.into()),
            "down" => Err(DeskError::Unavailable("down".into())),
            _ => Err(LinkError::Forged.into()),
        }
    }

    fn notice(&self, token: &str) -> Result<NoticePage, DeskError> {
        match token {
            TOKEN => self.up()?,
            EXPIRED => return Err(LinkError::Expired.into()),
            DOWN => return Err(DeskError::Unavailable("secret reason".into())),
            _ => return Err(LinkError::Forged.into()),
        }
        let mut visits = self.visits.lock().unwrap();
        visits.push(VisitKind::Opened);
        Ok(NoticePage {
            reference: self.text("AB3D-9XK2"),
            operator: self.text("のろしネット"),
            desk: self.text("お客様センター 0120-000-000(9時〜18時)"),
            measure: self.text("takedown-notice"),
            seen: vec![
                (at("2026-11-20T03:12:00Z"), "203.0.113.77".parse().unwrap()),
                (at("2026-11-19T18:12:00Z"), "2001:db8:85a3:1234:5678:8a2e:370:7334".parse().unwrap()),
            ],
            seen_total: 1234,
            guide: self.guide(),
            link_until: Some(at("2026-12-20T03:12:00Z")),
            steps_fetched: visits.contains(&VisitKind::Steps),
            done: visits.contains(&VisitKind::Done),
            opted_out: visits.contains(&VisitKind::OptOut),
            clean: false,
            garden: *self.garden.lock().unwrap(),
            recheck: visits.contains(&VisitKind::Check).then(|| Recheck::NotSeen {
                last: at("2026-11-20T03:12:00Z"),
                watched: at("2026-11-24T03:12:00Z"),
            }),
            cleaners: vec![self.cleaner(0).unwrap(), self.cleaner(1).unwrap()],
            helpers: vec![Helper {
                name: self.texts("さわやかパソコン教室", "PC class"),
                how: self.texts("03-0000-0000", "03-0000-0000"),
                link: Some("https://help.example.jp/".into()),
            }],
        })
    }

    fn act(&self, token: &str, kind: VisitKind) -> Result<(), DeskError> {
        self.notice(token)?;
        self.visits.lock().unwrap().push(kind);
        Ok(())
    }

    fn cleaner(&self, id: u32) -> Result<Cleaner, DeskError> {
        let name = self.texts("駆除ツール", "Cleaner");
        let (sha256, file_name) = ("ab".repeat(32), "clean-1.0.exe".to_owned());
        match id {
            0 => {
                Ok(Cleaner { id, name, link: None, sha256, bytes: Some(b"MZ".as_slice().into()), file_name })
            }
            1 => Ok(Cleaner {
                id,
                name,
                link: Some("https://a.example/x".into()),
                sha256,
                bytes: None,
                file_name,
            }),
            _ => Err(DeskError::NotFound),
        }
    }

    fn operator(&self) -> (String, String) {
        (self.text("Example ISP"), self.text("0120-000-000"))
    }

    fn captive(&self, from: Option<IpAddr>) -> Captive {
        let captive = from == Some("100.64.0.9".parse().unwrap());
        Captive { captive, page: "https://care.example.ne.jp/garden".into() }
    }

    fn restricted(&self, line: &str) -> Result<Option<serde_json::Value>, DeskError> {
        let answer = serde_json::json!({ "reply:Filter-Id": { "op": ":=", "value": ["garden"] } });
        Ok((line == "sub1").then_some(answer))
    }

    fn transparency(&self) -> Result<TransparencyPage, DeskError> {
        let measures = self.list(0, 1, |_| Figures {
            measure: self.text("takedown-notice"),
            title_ja: self.text("テイクダウンされたC&Cサーバの通信履歴に基づく注意喚起"),
            title_en: self.text("Notice to users found in the log of a C&C server that was taken down"),
            permits: Told::of(1_234),
            looks: Told::of(24_680),
            subscribers: Told::of(3_420),
            notices: Told::of(2_977),
            opt_outs: Told::of(3),
            refusals: vec![
                (self.text("purpose-limitation"), Told::of(4)),
                (self.text("field-minimisation"), Told::of(17)),
            ],
        })?;
        let checkpoint = if self.kept == Kept::Nothing { "" } else { "log.example\n1206\nAAAA=\n" };
        Ok(TransparencyPage {
            operator: self.text("のろしネット"),
            disclosure: Disclosure {
                counted: 1_200,
                entries: 1_206,
                fewer_than: 5,
                measures,
                unknown_measure: Told::of(0),
                checkpoint: self.text(checkpoint),
                key: "log.example+00000000+AAAA".into(),
            },
        })
    }

    fn today(&self) -> Result<Today, DeskError> {
        self.up()?;
        if self.kept == Kept::Nothing {
            return Ok(Today { counted: Some(at("2026-11-24T03:12:00Z")), ..Today::default() });
        }
        let counts = [
            ("seen", 1_204_112),
            ("findings", 3_871),
            ("permitted", 3_420),
            ("mailed", 2_977),
            ("opened", 1_022),
        ];
        let good = Tally {
            read: 1_204_326,
            stored: 1_204_112,
            duplicate: 0,
            filtered: 0,
            aggregated: 0,
            quarantined: 214,
        };
        let href = |path: &str| self.text(path);
        Ok(Today {
            counted: Some(at("2026-11-24T03:12:00Z")),
            totals: counts.iter().map(|(name, n)| (self.text(name), *n)).collect(),
            feeds: vec![
                (self.text("shadowserver-sinkhole.mirai"), self.text("csv"), good),
                (
                    self.text("spamtrap.gamut"),
                    self.text("json"),
                    Tally { read: 9, stored: 7, ..Tally::default() },
                ),
            ],
            identifications: vec![(
                self.text("identified"),
                self.text("one session held the address"),
                3_401,
            )],
            clocks: vec![
                (self.text("nas-osaka-2"), -3_612, 2, 5_101, true),
                (self.text("nas-tokyo-1"), 4, 9, 88, false),
            ],
            attention: vec![
                Attention {
                    act: true,
                    what: self.text("12 cases wait for approval (oldest 3 h)"),
                    href: href("/cases?state=open"),
                },
                Attention {
                    act: false,
                    what: self.text("feed shadowserver-sinkhole: 214 lines in quarantine"),
                    href: href("/quarantine"),
                },
                Attention {
                    act: false,
                    what: self.text("nothing to open"),
                    href: "javascript:alert(3)".into(),
                },
            ],
        })
    }

    fn cases(&self, filter: &CaseFilter, seek: &Seek, limit: u32) -> Result<Vec<Case>, DeskError> {
        let all = self.list(0, u32::MAX, |n| self.one_case(n))?.into_iter();
        let all: Vec<Case> = all
            .filter(|case| filter.state.is_none_or(|state| case.state == state))
            .filter(|case| filter.family.as_ref().is_none_or(|family| case.family == *family))
            .collect();
        let place = |mark: &Mark| all.iter().position(|case| case.id == mark.id).unwrap_or(all.len());
        let limit = limit as usize;
        Ok(match seek {
            Seek::Newest => all.iter().take(limit).cloned().collect(),
            Seek::Older(mark) => all.iter().skip(place(mark) + 1).take(limit).cloned().collect(),
            Seek::Newer(mark) => {
                let end = place(mark);
                all[end.saturating_sub(limit)..end].to_vec()
            }
        })
    }

    fn judge_cases(
        &self,
        of: &CasesOf,
        verb: &CaseVerb,
        person: &str,
        why: &str,
    ) -> Result<Judged, DeskError> {
        self.up()?;
        self.performed.lock().unwrap().push(format!("{verb:?} {of:?} by {person}: {why}"));
        let done = match of {
            CasesOf::These(ids) => ids.len() as u64,
            CasesOf::All(_) => 10_000,
        };
        let left = if done > 1 { vec![(self.text("the case is closed"), 1)] } else { Vec::new() };
        Ok(Judged { done: done - left.len() as u64, left, more: done > 100 })
    }

    fn campaigns(&self) -> Result<Vec<CampaignLine>, DeskError> {
        let stop = StopLine {
            scope: "campaign:x".into(),
            since: at("2026-11-20T03:12:00Z"),
            person: self.text("Aoki"),
            why: self.text("a wrong list"),
        };
        self.list(0, u32::MAX, |n| CampaignLine {
            campaign: self.text(&format!("campaign {n}")),
            cases: 1_234,
            states: vec![(CaseState::Open, 1_000), (CaseState::Clean, 234)],
            since: at("2026-11-01T03:12:00Z"),
            last_seen: at("2026-11-20T03:12:00Z"),
            stopped: (n == 1).then(|| stop.clone()),
        })
    }

    fn case(&self, id: &Id) -> Result<CaseStory, DeskError> {
        self.up()?;
        let case = self.one_case(0);
        if *id != case.id {
            return Err(DeskError::NotFound);
        }
        let line = |when: &str, what: &str, text: &str, rule: Option<&str>, evidence| StoryLine {
            at: at(when),
            what: self.text(what),
            text: self.text(text),
            rule: rule.map(|rule| self.text(rule)),
            evidence,
        };
        let story = vec![
            line("2026-11-20T06:30:00Z", "visit", "the page was opened", None, None),
            line(
                "2026-11-20T05:00:00Z",
                "mail",
                "mail 2 accepted by the mail server",
                Some("notify-emergency"),
                Some(1205),
            ),
            line(
                "2026-11-20T04:00:00Z",
                "identified",
                "one session held the address",
                Some("identify-emergency"),
                Some(1204),
            ),
            line("2026-11-20T03:12:00Z", "seen", "connection to a sinkhole", None, None),
        ];
        let beside = vec![self.one_case(1)];
        Ok(CaseStory { case, reference: self.text("AB3D-9XK2"), story, waiting: true, beside })
    }

    fn steps(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<StepItem>, DeskError> {
        self.list(after(behind), limit, |n| StepItem {
            case: Id::of("case", &[&n.to_be_bytes()]),
            reference: "AB3D-92F0".into(),
            number: 4,
            channel: noroshi_model::Channel::Call,
            since: nth(n),
            campaign: self.text("shadowserver-sinkhole.mirai"),
            family: self.text("mirai"),
            last_seen: at("2026-11-20T03:12:00Z"),
        })
    }

    fn stopped(&self) -> Result<Vec<StopLine>, DeskError> {
        self.list(0, 1, |_| StopLine {
            scope: self.text("campaign:sinkhole"),
            since: at("2026-11-20T04:00:00Z"),
            person: self.text("aoki"),
            why: self.text("a wrong list"),
        })
    }

    fn perform(&self, act: &Act, person: &str, why: &str) -> Result<bool, DeskError> {
        self.up()?;
        let said = format!("{act:?} by {person}: {why}");
        let mut performed = self.performed.lock().unwrap();
        let is_new = !performed.contains(&said);
        performed.push(said);
        Ok(is_new)
    }

    fn intake(&self) -> Result<IntakePage, DeskError> {
        let feeds = self.list(0, u32::MAX, |n| FeedLine {
            feed: self.text("shadowserver-sinkhole"),
            kind: "feed".into(),
            // The last one does not add up.
            counts: Tally { read: 1_204_112, stored: 1_204_112 - u64::from(n == 3), ..Tally::default() },
            last: at("2026-11-20T03:12:00Z"),
            hour: 7,
            day: 1234,
        })?;
        let credit = Credit {
            table: "country".into(),
            source: self.text("example-tables"),
            version: "1.2".into(),
            date: "2026-11-01".into(),
            licence: "CC BY 4.0".into(),
            attribution: self.text("Tables by Example, <b>"),
        };
        let credits = if self.kept == Kept::Nothing { Vec::new() } else { vec![credit] };
        Ok(IntakePage { feeds, credits })
    }

    fn metrics(&self) -> Result<String, DeskError> {
        self.up()?;
        Ok("noroshi_up 1\n# EOF\n".into())
    }

    fn quarantine(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<QuarantineLine>, DeskError> {
        self.list(after(behind), limit, |n| QuarantineLine {
            id: n.to_string(),
            source: self.text("2026-11-20-sinkhole.csv"),
            line: n + 17,
            reason: self.text("time.source is not a time"),
            snippet: (n != 2).then(|| self.text("\"20 Nov\t12:12\",203.0.113.77,mirai\r\n")),
            bytes: 20_480,
            at: nth(n),
            campaign: self.text("shadowserver-sinkhole.mirai"),
        })
    }

    fn refusals(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<RefusalItem>, DeskError> {
        self.list(after(behind), limit, |n| RefusalItem {
            id: n.to_string(),
            case: None,
            at: nth(n),
            measure: self.text("infection-notice"),
            rule: self.text("no-consent"),
            reason: self.text("the contract's terms hold no consent to this measure"),
        })
    }

    fn consents(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<ConsentItem>, DeskError> {
        self.list(after(behind), limit, |n| ConsentItem {
            since: nth(n),
            scope: self.text("terms"),
            measure: self.text("infection-notice"),
            granted: n % 2 == 0,
            how: self.text("terms of service 2026, article 21"),
        })
    }

    fn organisations(&self) -> Result<Vec<OrganisationLine>, DeskError> {
        self.list(0, 100, |n| OrganisationLine {
            organisation: Organisation {
                key: format!("city-{n}"),
                name: self.text("例示市"),
                lang: Lang::JA,
                since: nth(n),
                messages: n,
                next: (n % 2 == 0).then(|| nth(n)),
                pause_s: 900,
            },
            ranges: 2,
            proven: 1,
            contacts: 1,
            alerts: n,
        })
    }

    fn alert(&self, id: &Id) -> Result<Alert, DeskError> {
        self.alerts(None, u32::MAX)?.into_iter().find(|one| one.id == *id).ok_or(DeskError::NotFound)
    }

    fn alerts(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<Alert>, DeskError> {
        self.list(after(behind), limit, |n| {
            let (ip, role) =
                ([203, 0, 113, n as u8].into(), [Seeming::Sender, Seeming::Victim][n as usize % 2]);
            Alert {
                id: Id::of("alert", &[&n.to_be_bytes()]),
                organisation: "city".into(),
                seen: Seen {
                    ip,
                    role,
                    class: "scanner".into(),
                    tool: ["mirai", ""][n as usize % 2].into(),
                    protocol: "tcp".into(),
                    source_port: Some(40_000),
                    port: Some(23),
                    packets: n + 1,
                    sensors: 2,
                    first: nth(n),
                    last: nth(n),
                },
                episode: 1 + n as u32 % 2,
                alerted: nth(n),
                message: (n % 3 > 0).then_some(n),
                muted: n % 3 == 0,
            }
        })
    }

    fn approve_measure(&self, measure: &str, person: &str, why: &str) -> Result<(), DeskError> {
        self.up()?;
        match measure {
            "takedown-notice" => {
                self.performed.lock().unwrap().push(format!("{person} approved {measure}: {why}"));
                Ok(())
            }
            _ => Err(DeskError::Declined(format!("{measure} needs no approval"))),
        }
    }

    fn emergencies(
        &self,
        waiting: bool,
        behind: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<EmergencyLine>, DeskError> {
        self.list(behind.map_or(0, |cursor| cursor.at as u64 + 1), limit, |n| EmergencyLine {
            entry: n,
            measure: self.text("takedown-notice"),
            usage: self.text("identify"),
            at: at("2026-11-20T03:12:00Z"),
            review: (!waiting && n % 2 == 1).then(|| ReviewLine {
                entry: 900 + n,
                reviewer: self.text("kimura"),
                verdict: if n == 1 { "justified".into() } else { self.text("unjustified") },
                why: self.text("the log was of that night"),
                at: at("2026-11-21T03:12:00Z"),
            }),
        })
    }

    fn review(&self, entries: &[u64], justified: bool, person: &str, why: &str) -> Result<Judged, DeskError> {
        self.up()?;
        self.performed.lock().unwrap().push(format!("{person} reviewed {entries:?} as {justified}: {why}"));
        let left = vec![(self.text("legal approved it, so somebody else must review it"), 1)];
        Ok(Judged { done: entries.len() as u64 - 1, left, more: false })
    }

    fn measures(&self) -> Result<Vec<MeasurePage>, DeskError> {
        self.up()?;
        if self.kept == Kept::Nothing {
            return Ok(Vec::new());
        }
        Ok(vec![MeasurePage {
            id: self.text("takedown-notice"),
            version: 1,
            title_en: self.text("Notice to users found in the log of a C&C server that was taken down"),
            title_ja: self.text("テイクダウンされたC&Cサーバの通信履歴に基づく注意喚起"),
            basis: self.text("emergency"),
            purpose: self.text("subscriber-notice"),
            settled_in: self.text("総務省 電気通信事業におけるサイバー攻撃への適正な対処の在り方に関する研究会 第一次とりまとめ (2014-04-04)"),
            fields: vec![self.text("source.ip"), self.text("time.source")],
            retention_days: 90,
            approved_by: self.text("noroshi project"),
            expires_on: self.text("2029-11-01"),
            elements: vec![(
                self.text("present-danger"),
                self.text("C&Cサーバによる制御が行われている場合には、端末に対する法益侵害が顕在化・継続している。"),
            )],
            approvers_needed: 2,
            approvals: vec![ApprovalLine {
                entry: 17,
                person: self.text("kimura"),
                why: self.text("the log is of tonight"),
                at: at("2026-11-23T03:12:00Z"),
                until: at("2026-11-26T03:12:00Z"),
            }],
        }])
    }

    fn settings(&self) -> Result<SettingsPage, DeskError> {
        self.up()?;
        let one =
            |key: &str, value: &str, is_set| Setting { key: self.text(key), value: self.text(value), is_set };
        let (state, file) = match self.kept {
            Kept::Nothing => (FileState::None, None),
            Kept::Usual => (FileState::InForce, Some("/etc/noroshi.toml".to_owned())),
            Kept::Hostile => (FileState::Wrong(hostile()), Some(hostile())),
            Kept::Many(_) => (FileState::Changed, Some("/etc/noroshi.toml".to_owned())),
        };
        Ok(SettingsPage {
            version: "0.1.0".into(),
            file,
            state,
            warnings: self.list(0, 1, |_| self.text("operator.name is not set"))?,
            settings: vec![
                one("data-dir", "\"noroshi-data\"", false),
                one("mail.server", "\"127.0.0.1:25\"", true),
                one("mail.dkim.selector", "\"s1\"", true),
            ],
        })
    }

    fn evidence(&self, offset: u64, limit: u32) -> Result<Vec<Entry>, DeskError> {
        self.list(offset, limit, |n| Entry {
            index: 1205 - n,
            record: Record {
                kind: Kind::Opening,
                at: at("2026-11-20T03:40:00Z"),
                role: Role::System,
                measure: self.text("takedown-notice"),
                measure_version: 1,
                dossier: Digest::of(b"d"),
                basis: None,
                purpose: self.text("subscriber-notice"),
                usage: Use::Identify,
                fields: vec![self.text("source.ip")],
                rule: self.text("identify-emergency"),
                policy_set: Digest::of(b"p"),
                subject: self.text("Yk3v9Qd0sWm2"),
                records: 1,
                under: Some(0),
                note: self.text(""),
            },
        })
    }

    fn evidence_proof(&self, index: u64) -> Result<serde_json::Value, DeskError> {
        self.up()?;
        if index > 1205 {
            Err(DeskError::NotFound)
        } else {
            Ok(json!({ "index": index, "note": self.text("n") }))
        }
    }

    fn evidence_state(&self) -> Result<EvidenceState, DeskError> {
        self.up()?;
        let faults = if self.kept == Kept::Hostile { vec![hostile()] } else { Vec::new() };
        Ok(EvidenceState { entries: 1206, checkpoints: 311, root: Digest::of(b"root").to_string(), faults })
    }
}
