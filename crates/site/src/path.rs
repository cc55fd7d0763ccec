//! What a URL shows besides its host's name.
//!
//! These weights are not learned: there is no public list of harmless URLs with their paths to learn from. They are set by hand, low,
//! and their sum is bounded, so that a path alone never makes a site harmful.

use crate::address::{Address, Host};
use crate::model::Model;

/// What all that is seen of a path may weigh together.
const SUM_MAX: f32 = 4.0;
/// Ends of names of programs and of what starts them.
const PROGRAMS: [&str; 30] = [
    "apk", "arm", "arm5", "arm6", "arm7", "bat", "bin", "cmd", "com", "dll", "elf", "exe", "hta", "img",
    "iso", "jar", "lnk", "m68k", "mips", "mpsl", "msi", "ppc", "ps1", "scr", "sh", "sh4", "spc", "vbs",
    "wsf", "x86",
];
/// Ends that a program is given to look like something else.
const PAPERS: [&str; 8] = ["doc", "docx", "jpg", "pdf", "png", "txt", "xls", "xlsx"];
/// Folders of sites' systems, where nobody looks, and where what was broken into keeps what was put there.
const FOLDERS: [&str; 6] =
    ["/wp-content/", "/wp-includes/", "/wp-admin/", "/.well-known/", "/cgi-bin/", "/components/com_"];
/// A piece of a path as long as this, without a vowel's share, was made by a program.
const RANDOM_CHARS_MIN: usize = 24;

/// What was seen, and its weight in log-odds.
pub fn weigh(address: &Address, model: &Model) -> Vec<(&'static str, String, f32)> {
    let mut seen: Vec<(&'static str, String, f32)> = Vec::new();
    if let Host::Ip(ip) = address.host() {
        seen.push(("ip", ip.to_string(), 2.0));
    }
    if let Some(port) = address.port() {
        seen.push(("port", port.to_string(), 0.7));
    }
    if address.has_user() {
        seen.push(("user", String::new(), 2.5));
    }
    let rest = address.rest().to_ascii_lowercase();
    let (path, query) = rest.split_once('?').unwrap_or((&rest, ""));
    let file = path.rsplit('/').next().unwrap_or_default();
    let mut ends = file.rsplit('.');
    let (last, before) = (ends.next().unwrap_or_default(), ends.next());
    if before.is_some() && PROGRAMS.contains(&last) {
        seen.push(("program", last.to_owned(), 1.5));
        if before.is_some_and(|before| PAPERS.contains(&before)) {
            seen.push(("two-ends", file.chars().take(60).collect(), 1.5));
        }
    }
    if let Some(folder) = FOLDERS.iter().find(|folder| path.contains(**folder)) {
        seen.push(("folder", folder.trim_matches('/').to_owned(), 0.8));
    }
    let pieces = || path.split(['/', '.', '_', '-']).filter(|piece| !piece.is_empty());
    if let Some(word) =
        pieces().flat_map(|piece| model.lore().words.within(piece)).map(|(word, _)| word).next()
    {
        seen.push(("path-word", word.to_owned(), 0.5));
    }
    let own = address.name().unwrap_or_default();
    if let Some(brand) = pieces().find(|piece| model.lore().popular.is_brand(piece) && !own.contains(piece)) {
        seen.push(("path-brand", brand.to_owned(), 0.8));
    }
    let mixed = |piece: &&str| {
        piece.len() >= RANDOM_CHARS_MIN
            && piece.bytes().any(|b| b.is_ascii_digit())
            && piece.bytes().any(|b| b.is_ascii_lowercase())
    };
    if pieces().any(|piece| mixed(&piece)) {
        seen.push(("path-random", String::new(), 0.4));
    }
    if query.contains('@') || query.contains("%40") {
        seen.push(("mail-in-query", String::new(), 1.2));
    }
    let sum: f32 = seen.iter().map(|(_, _, weight)| weight).sum();
    if sum > SUM_MAX {
        seen.iter_mut().for_each(|(_, _, weight)| *weight *= SUM_MAX / sum);
    }
    seen
}
