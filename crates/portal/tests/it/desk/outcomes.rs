//! What came of it, made up.

use noroshi_model::network::{NetworkRate, NetworkWeek, Week};
use noroshi_model::wording::{Comparison, Stage, WordingArm, WordingTrial};
use noroshi_model::{Funnel, Id, Trial};
use noroshi_portal::desk::{AsOf, DeskError, Outcomes};

use super::{InMemory, at};

impl Outcomes for InMemory {
    fn trials(&self) -> Result<AsOf<Vec<Trial>>, DeskError> {
        let arm = |cases, gone| noroshi_model::outcome::Arm { cases, observed: cases - 1, gone };
        self.counted(u32::MAX, |n| Trial {
            campaign: self.text(&format!("shadowserver-sinkhole.mirai-{n}")),
            days: 14,
            told: arm(2_900, 2_400),
            held_out: arm(301, 200),
            effect: (n > 0).then_some(noroshi_model::outcome::Effect {
                difference: 0.161,
                low: 0.1,
                high: 0.22,
            }),
        })
    }

    fn outcome(&self) -> Result<AsOf<Vec<Funnel>>, DeskError> {
        self.counted(u32::MAX, |n| Funnel {
            campaign: self.text(&format!("shadowserver-sinkhole.mirai-{n}")),
            cases: 3_420,
            sent: 2_977,
            delivered: 2_901,
            opened: 1_022,
            steps: 800,
            done: 512,
            clean: 412,
            reinfected: 12,
            opted_out: 3,
            tool: 40,
            check: 30,
        })
    }

    fn wordings(&self) -> Result<AsOf<Vec<WordingTrial>>, DeskError> {
        let arm = |n: u64, wording: &str| WordingArm {
            wording: self.text(wording),
            percent: 50,
            form: "1f0c33ab".into(),
            cases: 1_022,
            notified: 1_001,
            otherwise: n,
            opened: 400 + n,
            steps: 300,
            done: 200,
            aged: 900,
            observed: 880,
            clean: 600 + n,
        };
        let comparison = |stage: &Stage, n: u64| Comparison {
            stage: *stage,
            wording: self.text("short"),
            with: self.text("standard"),
            effect: (n > 0).then_some(noroshi_model::outcome::Effect {
                difference: 0.02,
                low: -0.01,
                high: 0.05,
            }),
            says: self.text("no difference can be told"),
        };
        self.counted(10, |n| WordingTrial {
            round: Id::of("round", &[&n.to_be_bytes()]),
            since: at("2026-11-20T03:12:00Z"),
            until: at("2026-11-24T03:12:00Z"),
            days: 14,
            arms: vec![arm(0, "standard"), arm(n, "short")],
            pairs: 1,
            sure_percent: 95,
            comparisons: Stage::ALL.iter().map(|stage| comparison(stage, n)).collect(),
        })
    }

    fn wordings_svg(&self, round: &str) -> Result<String, DeskError> {
        let is_known = self.wordings()?.value.iter().any(|trial| trial.name() == round);
        if is_known {
            Ok("<svg xmlns=\"http://www.w3.org/2000/svg\"/>".into())
        } else {
            Err(DeskError::NotFound)
        }
    }

    fn networks(&self) -> Result<Vec<NetworkRate>, DeskError> {
        let week = |n: u32| NetworkWeek {
            week: Week::of(at("2026-11-20T03:12:00Z")).before(30 - n),
            lines: (n > 1).then_some(1_204_112),
            infected: Some(3_420),
            infected_per_10k: (n > 1).then_some(28.4),
            seen: Some(if n == 29 { 0 } else { 2_000 }),
            opened: Some(412),
            opened_per_10k: (n > 1).then_some(3.42),
            counted: at("2026-11-20T03:12:00Z"),
        };
        self.list(0, u32::MAX, |n| NetworkRate {
            network: self.text(&format!("net-{n}")),
            weeks: (0..=30).map(week).collect(),
        })
    }

    fn network_svg(&self, network: &str) -> Result<String, DeskError> {
        self.up()?;
        let is_known = network.starts_with("net-");
        if is_known {
            Ok("<svg xmlns=\"http://www.w3.org/2000/svg\"/>".into())
        } else {
            Err(DeskError::NotFound)
        }
    }

    fn funnel_svg(&self, campaign: &str) -> Result<String, DeskError> {
        self.up()?;
        let is_known = campaign.starts_with("shadowserver-sinkhole.mirai-");
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 254\"><rect x=\"110\" y=\"8\" \
                   width=\"470\" height=\"24\" fill=\"#2b5d8a\"/></svg>";
        if is_known { Ok(svg.to_owned()) } else { Err(DeskError::NotFound) }
    }
}
