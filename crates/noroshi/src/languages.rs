//! Languages of the operator's own: a folder for each tag (`pt`, `zh-Hans`, `vi`), in which `notice.ftl` (the mail), `portal.ftl`
//! (the pages) and `guides.ftl` (what to do) are translations of ours. `noroshi config texts` writes ours out to begin with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use noroshi_model::Lang;
use noroshi_model::guide::Guides;
use noroshi_model::text::Catalogue;

/// Most bytes of a file of texts.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// Everything that is said to subscribers, in every language.
#[derive(Debug)]
pub struct Texts {
    /// The mail.
    pub notice: Catalogue,
    /// The mail to organisations.
    pub alert: Catalogue,
    /// The pages.
    pub portal: Arc<Catalogue>,
    /// What to do.
    pub guides: Guides,
}

impl Texts {
    /// What is shipped, and the translations in a folder.
    pub fn read(folder: Option<&Path>) -> anyhow::Result<Self> {
        let mut texts = Self {
            notice: noroshi_act::notice::texts()?,
            alert: noroshi_act::alert::texts()?,
            portal: Arc::default(),
            guides: Guides::shipped()?,
        };
        let mut portal = noroshi_portal::subscriber::texts()?;
        for (lang, folder) in folder.map(languages).transpose()?.unwrap_or_default() {
            texts
                .add(&mut portal, lang, &folder)
                .with_context(|| format!("the language in {}", folder.display()))?;
        }
        texts.portal = Arc::new(portal);
        Ok(texts)
    }

    fn add(&mut self, portal: &mut Catalogue, lang: Lang, folder: &Path) -> anyhow::Result<()> {
        let read = |name: &str| text(&folder.join(name));
        self.notice.add(lang, &read("notice.ftl")?).context("notice.ftl")?;
        portal.add(lang, &read("portal.ftl")?).context("portal.ftl")?;
        if folder.join("guides.ftl").exists() {
            self.guides.translate(lang, &read("guides.ftl")?).context("guides.ftl")?;
        }
        Ok(())
    }
}

/// The folders of languages, by tag.
fn languages(folder: &Path) -> anyhow::Result<Vec<(Lang, PathBuf)>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_dir() || name.starts_with('.') {
            continue;
        }
        let Some(lang) = Lang::parse(&name) else {
            bail!("{} is no tag of a language, as in BCP 47: pt, zh-Hans", path.display())
        };
        found.push((lang, path));
    }
    found.sort();
    Ok(found)
}

/// A text of the operator's own, whole.
pub fn text(path: &Path) -> anyhow::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text))
        .with_context(|| format!("{} cannot be read", path.display()))?;
    ensure!(text.len() as u64 <= TEXT_BYTES_MAX, "{} has more than {TEXT_BYTES_MAX} bytes", path.display());
    Ok(text)
}

/// Writes what is shipped into a folder for who translates it: `FOLDER/TAG/*.ftl`, with the English texts. Nothing that is
/// there is overwritten.
pub fn write_out(folder: &Path, lang: Lang) -> anyhow::Result<PathBuf> {
    let folder = folder.join(lang.tag());
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let guides = Guides::shipped()?.fluent(Lang::EN);
    for (name, text) in [
        ("notice.ftl", noroshi_act::notice::ENGLISH),
        ("portal.ftl", noroshi_portal::subscriber::ENGLISH),
        ("guides.ftl", guides.as_str()),
    ] {
        use std::io::Write as _;
        let path = folder.join(name);
        std::fs::File::create_new(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_that_was_written_out_and_translated_is_spoken_and_a_half_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pt = Lang::parse("pt").unwrap();
        let made = write_out(folder.path(), pt).unwrap();
        assert!(write_out(folder.path(), pt).is_err(), "nothing is overwritten");
        let change = |file: &str, from: &str, to: &str| {
            let path = made.join(file);
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{file}: {from}");
            std::fs::write(&path, text.replace(from, to)).unwrap();
        };
        change("notice.ftl", "What was seen", "O que foi visto");
        change("portal.ftl", "language-name = English", "language-name = Português");
        change("guides.ftl", "mirai-step-1-title = ", "mirai-step-1-title = Desligue: ");
        let texts = Texts::read(Some(folder.path())).unwrap();
        assert_eq!(texts.notice.say(Lang::parse("pt-BR").unwrap(), "what-title", &[]), "O que foi visto");
        assert_eq!(texts.portal.say(pt, "language-name", &[]), "Português");
        assert!(texts.guides.family("mirai").steps[0].title.of(pt).starts_with("Desligue: "));
        change("portal.ftl", "{ $operator }", "{ $opérateur }");
        let e = format!("{:#}", Texts::read(Some(folder.path())).unwrap_err());
        assert!(e.contains("portal.ftl") && e.contains("pt"), "{e}");
        std::fs::create_dir(folder.path().join("Português")).unwrap();
        assert!(format!("{:#}", Texts::read(Some(folder.path())).unwrap_err()).contains("BCP 47"));
    }

    #[test]
    fn every_language_that_is_shipped_is_spoken_everywhere() {
        let texts = Texts::read(None).unwrap();
        let shipped = [Lang::JA, Lang::EN, Lang::JA_EASY];
        assert_eq!((texts.notice.spoken(), texts.portal.spoken()), (shipped.to_vec(), shipped.to_vec()));
        for family in ["mirai", "andromeda", "gamut", "qakbot", "emotet", "general"] {
            let guide = texts.guides.family(family);
            assert_ne!(guide.about.of(Lang::JA_EASY), guide.about.of(Lang::JA), "{family}");
            for step in &guide.steps {
                assert_ne!(
                    step.body.of(Lang::JA_EASY),
                    step.body.of(Lang::JA),
                    "{family}: {}",
                    step.title.of(Lang::EN)
                );
            }
        }
    }
}
