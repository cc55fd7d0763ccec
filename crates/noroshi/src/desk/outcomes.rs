//! What came of it, for the pages: counted now and then, since it takes a look at everything.

use noroshi_model::network::NetworkRate;
use noroshi_model::wording::WordingTrial;
use noroshi_model::{Funnel, Trial};
use noroshi_portal::desk::{AsOf, DeskError, Outcomes};

use super::{HouseDesk, unavailable};
use crate::report;

impl Outcomes for HouseDesk {
    fn outcome(&self) -> Result<AsOf<Vec<Funnel>>, DeskError> {
        let counted = self.counted()?;
        Ok(AsOf { at: counted.at, value: counted.value.funnels.clone() })
    }

    fn trials(&self) -> Result<AsOf<Vec<Trial>>, DeskError> {
        Ok(self.trials.now().map_err(unavailable)?.as_ref().clone())
    }

    fn wordings(&self) -> Result<AsOf<Vec<WordingTrial>>, DeskError> {
        Ok(self.wordings.now().map_err(unavailable)?.as_ref().clone())
    }

    fn wordings_svg(&self, round: &str) -> Result<String, DeskError> {
        let trials = self.wordings()?;
        let trial = trials.value.iter().find(|trial| trial.name() == round).ok_or(DeskError::NotFound)?;
        Ok(noroshi_improve::wording::svg(trial))
    }

    fn networks(&self) -> Result<Vec<NetworkRate>, DeskError> {
        report::networks(&self.house, false).map_err(unavailable)
    }

    fn network_svg(&self, network: &str) -> Result<String, DeskError> {
        let rates = self.networks()?;
        let rate = rates.iter().find(|rate| rate.network == network).ok_or(DeskError::NotFound)?;
        Ok(noroshi_improve::networks::svg(rate))
    }

    fn funnel_svg(&self, campaign: &str) -> Result<String, DeskError> {
        let funnels = self.outcome()?;
        let funnel = funnels.value.iter().find(|f| f.campaign == campaign).ok_or(DeskError::NotFound)?;
        Ok(noroshi_improve::funnel::svg(funnel))
    }
}
