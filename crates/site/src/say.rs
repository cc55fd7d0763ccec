//! Evidence in words, in Japanese and English.

use noroshi_model::Lang;

use crate::score::{Evidence, Verdict};

/// A piece of evidence as a sentence, without its weight.
pub fn evidence(evidence: &Evidence, lang: Lang) -> String {
    let is_ja = lang.base() == Lang::JA;
    let seen = &bin(&evidence.seen, is_ja);
    let (ja, en) = match evidence.code {
        "prior" => {
            ("調べる前の見込み(100件に1件)".into(), "before anything is known: one in a hundred".into())
        }
        "base" => ("名前一般の基準値".into(), "what holds for any name".into()),
        "suffix" => (format!("ドメインの末尾が「.{seen}」"), format!("it ends in .{seen}")),
        "class" => (format!("末尾の種類: {}", class(seen).0), class(seen).1.to_owned()),
        "length" => (format!("名前の文字数: {seen}"), format!("letters in the name: {seen}")),
        "digits" => (format!("名前の中の数字の数: {seen}"), format!("digits in the name: {seen}")),
        "hyphens" => (format!("名前の中のハイフンの数: {seen}"), format!("hyphens in the name: {seen}")),
        "switches" => (
            format!("文字と数字の切り替わりの数: {seen}"),
            format!("changes between letters and digits: {seen}"),
        ),
        "entropy" => (
            format!("文字のばらつき(エントロピー×4): {seen}"),
            format!("variety of letters (entropy × 4): {seen}"),
        ),
        "rarity" => (
            format!("文字の並びの珍しさ(ビット×4): {seen}"),
            format!("how seldom such letters follow each other (bits × 4): {seen}"),
        ),
        "consonants" => (format!("続く子音の数: {seen}"), format!("consonants in a row: {seen}")),
        "script" => (script(seen).0.into(), script(seen).1.into()),
        "like" | "target" => (likeness(seen).0.into(), likeness(seen).1.into()),
        "brand" => (format!("「{seen}」に似ている"), format!("it is like “{seen}”")),
        "lure" => (
            format!("よく騙られる名前に加わる誘い言葉: {seen}"),
            format!("words beside a name that deceivers use: {seen}"),
        ),
        "word" => (format!("「{seen}」という言葉を含む"), format!("it has the word “{seen}”")),
        "trade" => (format!("{}の言葉を含む", trade(seen).0), format!("it has words of {}", trade(seen).1)),
        "fragment" => (format!("文字の並び: {seen} など"), format!("letters in a row: {seen} and others")),
        "ip" => ("名前ではなくIPアドレスで書かれている".into(), "an IP address instead of a name".into()),
        "port" => (format!("通常でないポート {seen}"), format!("an unusual port: {seen}")),
        "user" => (
            "ホスト名の前に「@」で別の名前を置いている".into(),
            "something stands before the host with an @".into(),
        ),
        "program" => (format!("プログラムのファイル(.{seen})"), format!("a program (.{seen})")),
        "two-ends" => (
            format!("文書に見せかけたプログラム名: {seen}"),
            format!("a program named like a document: {seen}"),
        ),
        "folder" => (
            format!("侵入されたサイトによくある場所 {seen}"),
            format!("in a folder where broken-into sites keep things: {seen}"),
        ),
        "path-word" => (format!("URLに「{seen}」という言葉"), format!("the word “{seen}” in the path")),
        "path-brand" => {
            (format!("URLに他社の名前「{seen}」"), format!("somebody else's name in the path: {seen}"))
        }
        "path-random" => ("URLに長い無作為な文字列".into(), "a long random piece in the path".into()),
        "mail-in-query" => ("URLにメールアドレスが入っている".into(), "a mail address in the query".into()),
        "list" => (format!("リストに載っている: {seen}"), format!("listed by {seen}")),
        "life" => (life(seen).0.into(), life(seen).1.into()),
        other => (format!("{other}: {seen}"), format!("{other}: {seen}")),
    };
    if is_ja { ja } else { en }
}

/// A bin's name in words; whatever else was seen as it is.
fn bin(seen: &str, is_ja: bool) -> String {
    match (seen.strip_prefix('≤'), seen.strip_prefix('>'), is_ja) {
        (Some("0"), _, true) => "0".to_owned(),
        (Some("0"), _, false) => "none".to_owned(),
        (Some(most), _, true) => format!("{most}以下"),
        (Some(most), _, false) => format!("{most} at most"),
        (_, Some(least), true) => format!("{least}より多い"),
        (_, Some(least), false) => format!("more than {least}"),
        _ => seen.to_owned(),
    }
}

/// What follows, as a sentence.
pub fn verdict(verdict: Verdict, lang: Lang) -> &'static str {
    let (ja, en) = match verdict {
        Verdict::Protected => (
            "警告リスト(著名サイト・共用ホスティング)に載っているため、ホスト全体は遮断しません",
            "a warning list has it: the host is left alone, only single URLs of it may be listed",
        ),
        Verdict::Harmful => ("有害と判断されます(90%以上)", "harmful (nine in ten or more)"),
        Verdict::Likely => ("有害である可能性の方が高い", "likelier harmful than not"),
        Verdict::Watch => ("名前が不審です。確認をお勧めします", "a suspicious name: worth a look"),
        Verdict::Clear => ("有害とするだけの根拠はありません", "nothing that would be enough against it"),
    };
    if lang.base() == Lang::JA { ja } else { en }
}

fn class(seen: &str) -> (&'static str, &'static str) {
    match seen {
        "restricted" => ("学校・官公庁に限られた末尾", "an ending for schools and offices only"),
        "country" => ("国の末尾", "the ending of a country"),
        "old" => ("昔からの末尾", "one of the old endings"),
        "script" => ("英字以外の末尾", "an ending in another script"),
        _ => ("新しい末尾", "one of the new endings"),
    }
}

fn script(seen: &str) -> (&'static str, &'static str) {
    match seen {
        "mixed" => ("複数の文字体系が一つの名前に混ざっている", "several scripts are mixed in one name"),
        "latin" => ("アクセント付きの文字を含む", "letters with accents"),
        "broken" => ("国際化ドメイン名として読めない", "not readable as an international name"),
        _ => ("英字以外の文字で書かれている", "another script"),
    }
}

fn likeness(seen: &str) -> (&'static str, &'static str) {
    match seen {
        "looks" => ("著名な名前と見た目が同じ別の文字", "other characters that look like a popular name"),
        "before" => (
            "登録された名前の前に、著名なドメインをそのまま置いている",
            "a popular name, suffix and all, before what was registered",
        ),
        "edit" => ("著名な名前と1文字違い", "one letter off a popular name"),
        "edits" => ("著名な名前と2文字違い", "two letters off a popular name"),
        "beside" => ("著名な名前に別の言葉を加えたもの", "a popular name with something beside it"),
        _ => ("著名な名前と同じで、末尾だけが違う", "a popular name under another suffix"),
    }
}

fn trade(seen: &str) -> (&'static str, &'static str) {
    match seen {
        "access" => ("本人確認・ログイン", "logging in"),
        "money" => ("金融・決済", "banks and payments"),
        "crypto" => ("暗号資産", "coins and wallets"),
        "gift" => ("景品・無料", "gifts and prizes"),
        "parcel" => ("配送", "parcels"),
        "help" => ("サポート・緊急", "help and urgency"),
        _ => ("複数の分野", "several trades"),
    }
}

fn life(seen: &str) -> (&'static str, &'static str) {
    match seen {
        "answers" => ("今も応答している", "it still answers"),
        "elsewhere" => ("別の名前のサイトへ転送している", "it leads to a site of another name"),
        "missing" => ("ページがなくなっている", "the page is no longer there"),
        "gone" => ("名前がないか、応答しない", "the name is gone or nobody answers"),
        _ => ("確認してよいアドレスではない", "its address is not one that may be asked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, Known, Model, score};

    #[test]
    fn every_sign_has_words_in_both_languages() {
        let (model, known) = (Model::shipped().unwrap(), Known::default());
        let now = jiff::Timestamp::UNIX_EPOCH;
        let addresses = [
            "paypal.com.secure-login1.top",
            "xn--pypal-4ve.com",
            "http://a@192.0.2.1:81/wp-content/a.pdf.exe?x@y",
        ];
        for text in addresses {
            for evidence in score(&model, &Address::parse(text).unwrap(), &known, now).evidence {
                let (ja, en) = (super::evidence(&evidence, Lang::JA), super::evidence(&evidence, Lang::EN));
                assert!(!ja.is_ascii() && en.is_ascii() | en.contains(['“', '×']), "{ja} / {en}");
                // The last arm, for what has no words, would begin with the code.
                assert!(!en.starts_with(&format!("{}: ", evidence.code)), "{en}");
            }
        }
    }
}
