//! Words that deceivers put into names: to hurry, to frighten, to promise. English ones, Japanese ones in letters, and
//! Japanese ones as they are written, which stand in a name as Punycode.
//!
//! A word by itself proves nothing, there are honest shops with `secure` in their names; how much each weighs is learned.
//! A word that no list has enough of to learn from weighs as its trade does.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};

/// What a word is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trade {
    /// Proving who one is.
    Access,
    /// Banks, cards, bills.
    Money,
    /// Coins and wallets.
    Crypto,
    /// Prizes, presents, what costs nothing.
    Gift,
    /// Parcels and posts.
    Parcel,
    /// Being helped or having to hurry.
    Help,
}

impl Trade {
    /// Its name in tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Money => "money",
            Self::Crypto => "crypto",
            Self::Gift => "gift",
            Self::Parcel => "parcel",
            Self::Help => "help",
        }
    }
}

const ACCESS: &str = "login logon signin signon sign-in log-in secure security verify verification verified validate validation account \
    accounts auth authenticate authentication confirm password passwd webmail mailbox unlock identity identification session sso otp \
    kakunin honnin ninsho ninshou touroku toroku anzen kaiin 確認 認証 登録 本人 会員 安全 ログイン パスワード アカウント";
const MONEY: &str = "bank banking banca banco bancos bnc pay payment payments billing invoice refund card cards credit tax finance \
    loan mutuo irs hmrc meisai ginko ginkou henkin kessai shiharai hokin toushi yuushi 銀行 決済 支払 返金 明細 投資 融資 請求";
const CRYPTO: &str = "wallet wallets airdrop airdrops claim claims token tokens coin coins crypto bitcoin btc eth ether ethereum \
    swap defi dapp dapps nft mint staking stake ledger trezor metamask bridge presale ico tokensale exchange seed restore rectify \
    migration walletconnect usdt trx doge solana kasou tsuuka 仮想通貨 暗号資産";
const GIFT: &str = "gift gifts giveaway bonus prize reward rewards free promo promotion lucky win winner lottery event double \
    muryo muryou tousen present fukubukuro kensho kenshou 無料 当選 懸賞 限定 激安 特典 プレゼント";
const PARCEL: &str = "delivery deliver parcel package post postal tracking track shipping shipment express courier customs \
    takuhai haitatsu fuzai yubin yuubin 宅配 配達 不在 郵便 荷物";
const HELP: &str = "support help helpdesk service services customer recovery recover update updates upgrade alert notice notification \
    urgent suspended limited review center centre online official portal client user id info kinkyu kinkyuu 緊急 重要 更新 サポート 公式";

/// A word shorter than this counts only where it stands alone.
const INSIDE_CHARS_MIN: usize = 5;

/// All words, ready to be looked for.
#[derive(Debug)]
pub struct Words {
    words: Vec<(&'static str, Trade)>,
    automaton: Option<AhoCorasick>,
}

impl Default for Words {
    fn default() -> Self {
        let lists = [
            (ACCESS, Trade::Access),
            (MONEY, Trade::Money),
            (CRYPTO, Trade::Crypto),
            (GIFT, Trade::Gift),
            (PARCEL, Trade::Parcel),
            (HELP, Trade::Help),
        ];
        let words: Vec<_> = lists
            .iter()
            .flat_map(|(list, trade)| list.split_whitespace().map(|word| (word, *trade)))
            .collect();
        let automaton = AhoCorasickBuilder::new()
            .match_kind(MatchKind::LeftmostLongest)
            .build(words.iter().map(|(word, _)| word.as_bytes()))
            .ok();
        Self { words, automaton }
    }
}

impl Words {
    /// The words in a label, which is in lower case and may be in Punycode. A short one has to stand alone, between
    /// hyphens, digits or the ends.
    pub fn within(&self, label: &str) -> Vec<(&'static str, Trade)> {
        let read = match label.strip_prefix("xn--") {
            Some(_) => idna::domain_to_unicode(label).0,
            None => label.to_owned(),
        };
        let edge = |at: Option<u8>| at.is_none_or(|byte| !byte.is_ascii_alphabetic());
        let bytes = read.as_bytes();
        let found = self.automaton.iter().flat_map(|automaton| automaton.find_iter(&read));
        found
            .filter_map(|found| {
                let (word, trade) = *self.words.get(found.pattern().as_usize())?;
                let alone = edge(found.start().checked_sub(1).and_then(|at| bytes.get(at)).copied())
                    && edge(bytes.get(found.end()).copied());
                (alone || !word.is_ascii() || word.len() >= INSIDE_CHARS_MIN).then_some((word, trade))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(label: &str) -> Vec<&'static str> {
        Words::default().within(label).into_iter().map(|(word, _)| word).collect()
    }

    #[test]
    fn words_are_found_whole_or_long_enough() {
        assert_eq!(within("secure-login-eth2"), ["secure", "login", "eth"]);
        assert_eq!(within("myairdropclaims"), ["airdrop", "claims"]);
        // `bank` is in `embankment`, and short.
        assert_eq!(within("embankment"), [] as [&str; 0]);
        assert_eq!(within("ginkou-kakunin"), ["ginkou", "kakunin"]);
    }

    #[test]
    fn japanese_is_read_in_punycode() {
        let label = idna::domain_to_ascii("銀行確認").unwrap();
        assert_eq!(within(&label), ["銀行", "確認"]);
    }
}
