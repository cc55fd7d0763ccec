//! What the pages about what came of it need to know, beside what all others do: funnels, what telling does, which wording works, how infected
//! networks are; each as figures and as a picture.

use noroshi_model::network::NetworkRate;
use noroshi_model::wording::WordingTrial;
use noroshi_model::{Funnel, Trial};

use super::{AsOf, DeskError};

/// What the outcome's pages ask. Calls block.
pub trait Outcomes {
    /// The funnels, by campaign.
    fn outcome(&self) -> Result<AsOf<Vec<Funnel>>, DeskError>;
    /// What telling does, by campaign.
    fn trials(&self) -> Result<AsOf<Vec<Trial>>, DeskError>;
    /// Which wording works, by round, the newest first.
    fn wordings(&self) -> Result<AsOf<Vec<WordingTrial>>, DeskError>;
    /// One round of wordings as SVG.
    fn wordings_svg(&self, round: &str) -> Result<String, DeskError>;
    /// How infected each network is, week by week, all of them together first.
    fn networks(&self) -> Result<Vec<NetworkRate>, DeskError>;
    /// One network's weeks as SVG.
    fn network_svg(&self, network: &str) -> Result<String, DeskError>;
    /// One campaign's funnel as SVG.
    fn funnel_svg(&self, campaign: &str) -> Result<String, DeskError>;
}
