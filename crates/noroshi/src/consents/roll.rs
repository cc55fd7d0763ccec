//! Whose each line is, and who has opted out: what "has this line agreed" is answered from.

use std::collections::{HashMap, HashSet};

use noroshi_act::directory::{DirectoryError, Holder};
use noroshi_book::LineNumber;
use noroshi_model::ContractRef;

use crate::house::House;

/// A party's keyed hash, shortened: it is kept for every line.
type Party = u64;

/// What is known of lines.
#[derive(Debug, Default)]
pub struct Roll {
    /// The party of each line that was asked about; none of a line without a contract.
    party_of: HashMap<LineNumber, Option<Party>>,
    out: HashSet<Party>,
    stamp: Option<(i64, i64, i64)>,
}

impl Roll {
    /// Numbers of lines mean others than before.
    pub fn renumbered(&mut self) {
        self.party_of.clear();
    }

    /// Whether something was said since the register was last read.
    pub fn is_behind(&self, house: &House) -> anyhow::Result<bool> {
        let stamp = house.store.look("consents.stamp", |tx| tx.consent_stamp())?;
        Ok(self.stamp != Some(stamp))
    }

    /// Reads the register; the lines that are on the other side now.
    pub fn read_register(&mut self, house: &House, measure: &str) -> anyhow::Result<HashSet<LineNumber>> {
        let (stamp, out) = house.store.look("consents.opt-outs", |tx| {
            Ok::<_, noroshi_store::StoreError>((tx.consent_stamp()?, tx.opt_outs(measure)?))
        })?;
        let out: HashSet<Party> = out.iter().map(|party| short(party)).collect();
        let changed: HashSet<Party> = self.out.symmetric_difference(&out).copied().collect();
        (self.stamp, self.out) = (Some(stamp), out);
        if changed.is_empty() {
            return Ok(HashSet::new());
        }
        let lines =
            self.party_of.iter().filter(|(_, party)| party.is_some_and(|party| changed.contains(&party)));
        Ok(lines.map(|(line, _)| *line).collect())
    }

    /// Whether a line that is known has agreed; nothing of one that must be asked about.
    pub fn agrees(&self, line: LineNumber) -> Option<bool> {
        let party = self.party_of.get(&line)?;
        Some(party.is_some_and(|party| !self.out.contains(&party)))
    }

    /// Asks the directory whose a line is; `name` is how the network names it.
    pub fn ask(
        &mut self,
        house: &House,
        measure: &str,
        line: LineNumber,
        name: String,
    ) -> Result<(), DirectoryError> {
        let listed = house.directory.contract(&Holder { user: name })?;
        let party = match &listed {
            None => None,
            Some(listed) => {
                let party = house.party(&listed.contract);
                // What the directory knows enters the register once; what that says then, counts, before it is read again.
                if listed.opted_out && is_out(house, &listed.contract, &party, measure)? {
                    self.out.insert(short(&party));
                }
                Some(short(&party))
            }
        };
        self.party_of.insert(line, party);
        Ok(())
    }
}

fn is_out(house: &House, contract: &ContractRef, party: &str, measure: &str) -> Result<bool, DirectoryError> {
    let entered = house.take_over_opt_out(contract);
    let out =
        entered.and_then(|()| house.store.look("consents.opted-out", |tx| tx.opted_out(party, measure)));
    out.map_err(|error| DirectoryError::Away(error.to_string()))
}

/// Two parties of ten million share this by a chance of a few in a million; then one's opt-out counts for both.
fn short(party: &str) -> Party {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for octet in party.bytes() {
        hash = (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}
