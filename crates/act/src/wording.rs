//! The wordings that a notice can be said in: the standard one, and others that an operator tries out. Which one a case gets is
//! chance's to say, by a keyed hash that the program draws; here is only what there is to draw from.

use std::collections::BTreeMap;

use noroshi_model::wording::{Round, STANDARD, Share, WORDINGS_MAX};

use crate::template::{TemplateError, Templates};

/// Longest name of a wording, in characters.
const NAME_CHARS_MAX: usize = 32;

/// A wording to be tried out, as an operator gives it.
#[derive(Clone, Debug)]
pub struct Tried {
    /// What it is called.
    pub id: String,
    /// Of a hundred new cases, how many get it.
    pub percent: u32,
    /// Its own forms, by name; the standard ones for what is not there.
    pub forms: BTreeMap<String, String>,
}

/// Why wordings cannot be tried out.
#[derive(Debug, thiserror::Error)]
pub enum WordingError {
    /// A name that is none.
    #[error(
        "id = \"{0}\": a wording's name is of a-z, 0-9 and -, {NAME_CHARS_MAX} at most, and not \"{STANDARD}\""
    )]
    Name(String),
    /// Two of one name, or of one text.
    #[error("'{0}' is '{1}' again: two wordings that say the same show nothing")]
    Twice(String, String),
    /// Shares that are none.
    #[error("'{0}': share is from 1 to 100, in percent, and all together at most 100")]
    Share(String),
    /// Too many.
    #[error("{0} wordings besides the standard one: at most {max}, or no number of cases tells them apart", max = WORDINGS_MAX - 1)]
    Many(usize),
    /// A form that is no template.
    #[error("'{0}': {1}")]
    Form(String, TemplateError),
}

/// All wordings there are.
#[derive(Debug)]
pub struct Wordings {
    round: Round,
    /// As in the round.
    forms: Vec<Templates>,
}

impl Wordings {
    /// The standard one, by the operator's own forms or ours, and those that are tried out; what they leave of a hundred is the
    /// standard one's share.
    pub fn new(standard: &BTreeMap<String, String>, tried: &[Tried]) -> Result<Self, WordingError> {
        if tried.len() >= WORDINGS_MAX {
            return Err(WordingError::Many(tried.len()));
        }
        let form = |id: &str, forms: &BTreeMap<String, String>| {
            Templates::new(forms).map_err(|e| WordingError::Form(id.to_owned(), e))
        };
        let mut forms = vec![form(STANDARD, standard)?];
        let share = |wording: &str, percent, form: &Templates| Share {
            wording: wording.to_owned(),
            percent,
            form: form.form().to_owned(),
        };
        let mut shares = vec![share(STANDARD, 100, &forms[0])];
        for one in tried {
            if !is_name(&one.id) {
                return Err(WordingError::Name(one.id.clone()));
            }
            let mut own = standard.clone();
            own.extend(one.forms.clone());
            let own = form(&one.id, &own)?;
            if let Some(same) = shares.iter().find(|had| had.wording == one.id || had.form == own.form()) {
                return Err(WordingError::Twice(one.id.clone(), same.wording.clone()));
            }
            let left = shares[0].percent;
            if one.percent == 0 || one.percent > left {
                return Err(WordingError::Share(one.id.clone()));
            }
            shares[0].percent = left - one.percent;
            shares.push(share(&one.id, one.percent, &own));
            forms.push(own);
        }
        Ok(Self { round: Round::new(shares), forms })
    }

    /// Which wordings there are, and their shares.
    pub fn round(&self) -> &Round {
        &self.round
    }

    /// Whether there is more than one way to say it.
    pub fn is_trial(&self) -> bool {
        self.forms.len() > 1
    }

    /// Each wording with its forms, the standard one first.
    pub fn iter(&self) -> impl Iterator<Item = (&Share, &Templates)> {
        self.round.shares.iter().zip(&self.forms)
    }

    /// The forms of a wording; `None` where there is none of that name.
    pub fn named(&self, wording: &str) -> Option<(&Share, &Templates)> {
        self.iter().find(|(share, _)| share.wording == wording)
    }

    /// The forms of the wording that a case was allotted to, or else, or where there is no such wording any more, the standard ones.
    pub fn of(&self, allotted: Option<&str>) -> (&Share, &Templates) {
        let standard = (&self.round.shares[0], &self.forms[0]);
        allotted.and_then(|wording| self.named(wording)).unwrap_or(standard)
    }
}

fn is_name(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=NAME_CHARS_MAX).contains(&id.len()) && id.bytes().all(plain) && id != STANDARD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{SUBJECT, TEXT};

    fn tried(id: &str, percent: u32, subject: &str) -> Tried {
        Tried { id: id.into(), percent, forms: [(SUBJECT.to_owned(), subject.to_owned())].into() }
    }

    #[test]
    fn what_the_others_leave_is_the_standard_ones_share() {
        let own = BTreeMap::from([(TEXT.to_owned(), "text".to_owned())]);
        let wordings = Wordings::new(&own, &[tried("short", 30, "a"), tried("long", 20, "b")]).unwrap();
        let shares: Vec<_> = wordings.iter().map(|(share, _)| (&*share.wording, share.percent)).collect();
        assert_eq!(shares, [("standard", 50), ("short", 30), ("long", 20)]);
        assert_eq!(wordings.of(Some("short")).0.wording, "short");
        assert_eq!(wordings.of(Some("gone")).0.wording, STANDARD);
        assert!(wordings.is_trial() && !Wordings::new(&own, &[]).unwrap().is_trial());
        assert_ne!(wordings.named("short").unwrap().0.form, wordings.named("long").unwrap().0.form);
    }

    #[test]
    fn wordings_that_would_show_nothing_are_refused() {
        let none = BTreeMap::new();
        let long = "x".repeat(33);
        for (wordings, told) in [
            (vec![tried("Short", 50, "a")], "a wording's name"),
            (vec![tried(STANDARD, 50, "a")], "a wording's name"),
            (vec![tried(&long, 50, "a")], "a wording's name"),
            (vec![tried("a", 0, "a")], "share is from 1 to 100"),
            (vec![tried("a", 60, "a"), tried("b", 41, "b")], "share is from 1 to 100"),
            (vec![tried("a", 10, "a"), tried("a", 10, "b")], "'a' is 'a' again"),
            (vec![tried("a", 10, "a"), tried("b", 10, "a")], "'b' is 'a' again"),
            (vec![tried("a", 10, "{{ t[\"subject\"] }}")], "'a' is 'standard' again"),
            (vec![tried("a", 10, "{{")], "'a': subject.txt"),
            ((0..5).map(|n| tried(&format!("w{n}"), 10, &n.to_string())).collect(), "at most 4"),
        ] {
            let e = Wordings::new(&none, &wordings).unwrap_err().to_string();
            assert!(e.contains(told), "{e}");
        }
    }
}
