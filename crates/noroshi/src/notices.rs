//! The mail before it is sent to anybody: shown for a made-up case, and held against everything a notice has to say.

use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use noroshi_act::notice::{Facts, Operator, says};
use noroshi_act::short::words;
use noroshi_act::template::{self, Templates};
use noroshi_act::wording::Wordings;
use noroshi_law::{InfectionNotice, Purpose as _, TakedownNotice};
use noroshi_model::guide::Guide;
use noroshi_model::{ContractRef, Id, Lang, Subscriber};

use crate::cli::NoticeCommand;
use crate::config::Config;
use crate::languages::Texts;
use crate::report::{self, say};
use crate::wording::wordings;

/// The measures under which mails are written.
const MEASURES: [&str; 2] = [TakedownNotice::MEASURE, InfectionNotice::MEASURE];

/// Shows a mail, or holds all of them against what they have to say.
pub fn command(config: &Config, what: &NoticeCommand) -> anyhow::Result<ExitCode> {
    let texts = Texts::read(config.languages.as_deref()).context("operator.languages")?;
    let wordings = wordings(config)?;
    match what {
        NoticeCommand::Wordings { json } => {
            list(&wordings, *json)?;
            Ok(ExitCode::SUCCESS)
        }
        NoticeCommand::Preview { family, lang, measure, html, short, subject, wording } => {
            let Some((_, templates)) = wordings.named(wording) else {
                bail!("there is no wording '{wording}'; see `noroshi notice wordings`")
            };
            let wanted = Lang::parse(lang).and_then(|lang| lang.among(&texts.notice.spoken()));
            let Some(lang) = wanted else {
                bail!("{lang} is not spoken; `noroshi config check` lists what is")
            };
            ensure!(
                MEASURES.contains(&measure.as_str()),
                "no mail is written under '{measure}': {}",
                MEASURES.join(", ")
            );
            let sample = Sample::new(&config.operator, &texts, templates, texts.guides.family(family));
            if *short {
                say!("{}", sample.told(lang, words));
                return Ok(ExitCode::SUCCESS);
            }
            if *subject {
                say!("{}", sample.with(lang, measure, |says| templates.subject(says))?);
                return Ok(ExitCode::SUCCESS);
            }
            let name = if *html { template::HTML } else { template::TEXT };
            say!("{}", sample.rendered(name, lang, measure)?.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        NoticeCommand::Lint => {
            let wrong = lint(&config.operator, &texts, &wordings);
            wrong.iter().for_each(|line| say!("{line}"));
            let (languages, families) = (texts.notice.spoken().len(), texts.guides.iter().count());
            eprintln!(
                "{languages} languages, {families} guides, {} measures, {} wordings: {} to mend",
                MEASURES.len(),
                wordings.iter().count(),
                wrong.len()
            );
            Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) })
        }
    }
}

/// Which wordings there are, and how many of a hundred new cases get each.
fn list(wordings: &Wordings, as_json: bool) -> anyhow::Result<()> {
    for (share, _) in wordings.iter() {
        let (id, percent, form) = (&share.wording, share.percent, &share.form);
        if as_json {
            report::json(&serde_json::json!({ "id": id, "share": percent, "form": form }))?;
        } else {
            say!("{id:<32} {percent:>3} %  form {form}");
        }
    }
    Ok(())
}

/// What is wrong with the mails of every wording, family, language and measure.
pub fn lint(operator: &Operator, texts: &Texts, wordings: &Wordings) -> Vec<String> {
    let mut wrong = Vec::new();
    for (share, templates) in wordings.iter() {
        let of = match wordings.is_trial() {
            true => format!("{}: ", share.wording),
            false => String::new(),
        };
        for guide in texts.guides.iter() {
            let sample = Sample::new(operator, texts, templates, guide);
            for lang in texts.notice.spoken() {
                for measure in MEASURES {
                    wrong.extend(sample.linted(lang, measure).into_iter().map(|what| format!("{of}{what}")));
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    wrong
}

/// A mail about a case that there is not.
struct Sample<'a> {
    operator: &'a Operator,
    texts: &'a Texts,
    templates: &'a Templates,
    guide: &'a Guide,
    case: Id,
    seen: Vec<(Timestamp, IpAddr)>,
}

impl<'a> Sample<'a> {
    fn new(operator: &'a Operator, texts: &'a Texts, templates: &'a Templates, guide: &'a Guide) -> Self {
        let at = |hours: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(497_000 - hours);
        let seen = vec![(at(0), [198, 51, 100, 7].into()), (at(5), [198, 51, 100, 7].into())];
        Self { operator, texts, templates, guide, case: Id::of("case", &[b"a sample"]), seen }
    }

    fn with<T>(&self, lang: Lang, measure: &str, look: impl FnOnce(&template::Says) -> T) -> T {
        self.told(lang, |to, facts| look(&says(to, measure, facts)))
    }

    fn told<T>(&self, lang: Lang, tell: impl FnOnce(&Subscriber, &Facts<'_>) -> T) -> T {
        let to = Subscriber {
            contract: ContractRef::parse("C-000000").unwrap_or_else(|| unreachable!("it is printable")),
            name: if lang.base() == Lang::JA { "見本 太郎".into() } else { "Sample Subscriber".into() },
            mail: "sample@example.net".into(),
            lang,
            phone: None,
            address: None,
        };
        let now = self.seen[0].0;
        let facts = Facts {
            operator: self.operator,
            case: &self.case,
            message_id: "<sample@example.net>",
            return_path: None,
            dkim: None,
            seen: &self.seen,
            seen_total: 7,
            guide: self.guide,
            link: "https://care.example.ne.jp/n/SAMPLE",
            portal: "https://care.example.ne.jp",
            link_until: now + SignedDuration::from_hours(30 * 24),
            now,
            texts: &self.texts.notice,
            templates: self.templates,
        };
        tell(&to, &facts)
    }

    fn rendered(&self, name: &str, lang: Lang, measure: &str) -> anyhow::Result<String> {
        Ok(self.with(lang, measure, |says| self.templates.render(name, says))?)
    }

    fn linted(&self, lang: Lang, measure: &str) -> Vec<String> {
        self.with(lang, measure, |says| self.templates.lint(says))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::File;
    use crate::wording::WordingFile;

    fn templates(folder: Option<&Path>) -> anyhow::Result<Wordings> {
        let mut config = Config::try_from(File::default())?;
        config.templates = folder.map(Path::to_owned);
        wordings(&config)
    }

    fn operator() -> Operator {
        Operator {
            name: "例示 <ISP> & Co".into(),
            desk: "0120".into(),
            from: "a@example.ne.jp".into(),
            page: Some("https://www.example.ne.jp/notice".into()),
        }
    }

    #[test]
    fn our_own_mails_say_everything_in_every_language() {
        let (texts, templates) = (Texts::read(None).unwrap(), templates(None).unwrap());
        assert_eq!(lint(&operator(), &texts, &templates), [""; 0]);
        let operator = operator();
        let (_, standard) = templates.of(None);
        let sample = Sample::new(&operator, &texts, standard, texts.guides.family("mirai"));
        let html = sample.rendered(template::HTML, Lang::JA, TakedownNotice::MEASURE).unwrap();
        assert!(html.contains("例示 &lt;ISP&gt; &amp; Co") && !html.contains("<ISP>"), "{html}");
        assert!(html.contains("href=\"https://care.example.ne.jp/n/SAMPLE\""), "{html}");
    }

    #[test]
    fn a_template_of_ones_own_is_used_and_what_it_lacks_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let texts = Texts::read(None).unwrap();
        let told = |text: &str| {
            std::fs::write(folder.path().join(template::TEXT), text).unwrap();
            templates(Some(folder.path())).map(|templates| lint(&operator(), &texts, &templates).join("\n"))
        };
        let short = told("{{ operator }}: {{ link }}\n").unwrap();
        for missing in
            ["a step is not in it", "why is not in it", "how to check that it is genuine is not in it"]
        {
            assert!(short.contains(missing), "{missing}: {short}");
        }
        assert!(told("{{ nothing_like_it }}").unwrap().contains("notice.txt, line 1"));
        assert!(told("{% for x in steps %}").is_err_and(|e| format!("{e:#}").contains("notice.txt")));
        let all = include_str!("../../act/templates/notice.txt");
        assert_eq!(told(&format!("Hello!\n{all}")).unwrap(), "");
        assert!(
            told(&format!("{all}\nhttps://cleaner.example/tool.exe"))
                .unwrap()
                .contains("a second link, https://cleaner")
        );
        std::fs::remove_file(folder.path().join(template::TEXT)).unwrap();
        let html = include_str!("../../act/templates/notice.html")
            .replace("<hr", "<img src=\"https://t.example/p.gif\"><hr");
        std::fs::write(folder.path().join(template::HTML), html).unwrap();
        let wrong = lint(&operator(), &texts, &templates(Some(folder.path())).unwrap()).join("\n");
        assert!(wrong.contains("tells who reads") && wrong.contains("second link"), "{wrong}");
        let hostile = "{{ operator }} {{ nothing }}";
        std::fs::write(folder.path().join(template::HTML), hostile).unwrap();
        let wrong = lint(&operator(), &texts, &templates(Some(folder.path())).unwrap()).join("\n");
        assert!(wrong.contains("notice.html, line 1"), "{wrong}");
        std::fs::remove_file(folder.path().join(template::HTML)).unwrap();
        let endless = "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}";
        assert!(!told(endless).unwrap().is_empty(), "a loop ends");
    }

    #[test]
    fn a_wording_is_held_against_what_a_notice_has_to_say_like_the_standard_one() {
        let folder = tempfile::tempdir().unwrap();
        let texts = Texts::read(None).unwrap();
        let mut config = Config::try_from(File::default()).unwrap();
        config.wordings =
            vec![WordingFile { id: "short".into(), templates: folder.path().into(), share: 50 }];
        let e = format!("{:#}", wordings(&config).unwrap_err());
        assert!(e.contains("has none of notice.txt, notice.html, subject.txt"), "{e}");
        let told = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            lint(&operator(), &texts, &wordings(&config).unwrap()).join("\n")
        };
        let subject =
            "{% if lang == \"en\" %}A device of yours is infected{% else %}{{ t[\"subject\"] }}{% endif %}\n";
        assert_eq!(told(template::SUBJECT, subject), "");
        let all = wordings(&config).unwrap();
        let short = all.named("short").unwrap().1;
        let operator = operator();
        let sample = Sample::new(&operator, &texts, short, texts.guides.family("mirai"));
        let said = |lang| sample.with(lang, TakedownNotice::MEASURE, |says| short.subject(says)).unwrap();
        assert_eq!(said(Lang::EN), "A device of yours is infected");
        assert_ne!(said(Lang::JA), said(Lang::EN));
        let wrong = told(template::TEXT, "{{ operator }}: {{ link }}\n");
        assert!(wrong.contains("short: notice.txt") && !wrong.contains("standard:"), "{wrong}");
        for (subject, what) in [
            ("", "the subject is empty"),
            ("{{ steps[0].body }}{{ about }}{{ about }}{{ about }}", "at most 100"),
            ("https://x.example", "a link in the subject"),
            ("{{ nothing }}", "subject.txt, line 1"),
        ] {
            let wrong = told(template::SUBJECT, subject);
            assert!(wrong.contains(what), "{what}: {wrong}");
        }
    }
}
