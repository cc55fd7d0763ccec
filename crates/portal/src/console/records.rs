//! The pages about the records themselves: what could not be read, and the evidence log.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use noroshi_law::evidence::Entry;
use serde_json::json;

use super::asked::{Asked, Here, Pager};
use super::{page, rows, rows_behind};
use crate::counter::Counter;
use crate::desk::{DeskError, EvidenceState, QuarantineLine};

#[derive(Template)]
#[template(path = "console/quarantine.html")]
struct QuarantineView<'a> {
    here: Here<'a>,
    lines: &'a [QuarantineLine],
    pager: &'a Pager,
}

pub(super) async fn quarantine(State(counter): State<Counter>, asked: Asked) -> Response {
    let list = rows_behind(&counter, &asked, "", |desk, behind, limit| desk.quarantine(behind, limit));
    let (lines, pager) = match list.await {
        Ok(list) => list,
        Err(response) => return response,
    };
    let twin = json!({ "next": pager.next, "lines": lines });
    asked.answer(&QuarantineView { here: asked.here("quarantine"), lines: &lines, pager: &pager }, &twin)
}

#[derive(Template)]
#[template(path = "console/evidence.html")]
struct EvidenceView<'a> {
    here: Here<'a>,
    /// Only on the first page: it is a walk over the whole log.
    state: Option<&'a EvidenceState>,
    entries: &'a [Entry],
    pager: &'a Pager,
}

impl EvidenceView<'_> {
    fn kind(&self, entry: &Entry) -> &'static str {
        use noroshi_law::evidence::Kind;
        match entry.record.kind {
            Kind::Permit => "permit",
            Kind::Refusal => "refusal",
            Kind::Opening => "opening",
            Kind::Asked => "asked",
            Kind::Act => "act",
        }
    }
}

pub(super) async fn evidence(State(counter): State<Counter>, asked: Asked) -> Response {
    let is_first = asked.page == 1;
    let state = counter.ask(move |desk| is_first.then(|| desk.evidence_state()).transpose()).await;
    let state = match state {
        Ok(state) => state,
        Err(error) => return asked.trouble(&error),
    };
    let list = rows(&counter, &asked, "", |desk, offset, limit| desk.evidence(offset, limit));
    let (entries, pager) = match list.await {
        Ok(list) => list,
        Err(response) => return response,
    };
    let twin = json!({ "state": state, "page": pager.page, "next": pager.next_page, "entries": entries });
    let view = EvidenceView {
        here: asked.here("evidence"),
        state: state.as_ref(),
        entries: &entries,
        pager: &pager,
    };
    asked.answer(&view, &twin)
}

#[derive(Template)]
#[template(path = "console/proof.html")]
struct ProofView<'a> {
    here: Here<'a>,
    index: u64,
    proof: String,
}

pub(super) async fn proof(
    State(counter): State<Counter>,
    asked: Asked,
    index: Option<Path<String>>,
) -> Response {
    let index = index.and_then(|Path(index)| index.strip_suffix(".json").unwrap_or(&index).parse().ok());
    let Some(index) = index else { return asked.trouble(&DeskError::NotFound) };
    match counter.ask(move |desk| desk.evidence_proof(index)).await {
        Ok(value) if asked.is_json => page::json(&value),
        Ok(value) => {
            // Cut nowhere, because it is a document to be checked; what would hide is escaped as JSON allows.
            let proof = serde_json::to_string_pretty(&value).unwrap_or_default();
            asked.answer(&ProofView { here: asked.here("evidence"), index, proof: plain(&proof) }, &value)
        }
        Err(error) => asked.trouble(&error),
    }
}

/// JSON text whose characters all stand where they are: what is not ASCII and no letter is written as
/// `\u202e`.
fn plain(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() || c.is_alphanumeric() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_reads_the_same_when_nothing_in_it_can_turn_the_text() {
        let value = json!({ "note": "狼煙 \u{202e}x 🎆" });
        let shown = plain(&value.to_string());
        assert!(shown.contains("狼煙 \\u202ex \\ud83c\\udf86"), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
