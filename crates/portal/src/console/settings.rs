//! The page about the configuration: what is in force, and that it has one place, which is the file. Nothing is changed here, so
//! nothing can be lost here.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::asked::{Asked, Here};
use crate::counter::Counter;
use crate::desk::{FileState, Setting, SettingsPage};

#[derive(Template)]
#[template(path = "console/settings.html")]
struct SettingsView<'a> {
    here: Here<'a>,
    s: &'a SettingsPage,
}

impl SettingsView<'_> {
    fn file(&self) -> &str {
        self.s.file.as_deref().unwrap_or_default()
    }

    /// The settings, table by table of the file.
    fn tables(&self) -> Vec<(&str, Vec<&Setting>)> {
        let mut tables: Vec<(&str, Vec<&Setting>)> = Vec::new();
        for setting in &self.s.settings {
            let table = setting.key.split(['.', '[']).next().unwrap_or_default();
            let table = if table == setting.key { "" } else { table };
            match tables.iter_mut().find(|(name, _)| *name == table) {
                Some((_, settings)) => settings.push(setting),
                None => tables.push((table, vec![setting])),
            }
        }
        tables
    }
}

pub(super) async fn settings(State(counter): State<Counter>, asked: Asked) -> Response {
    match counter.ask(|desk| desk.settings()).await {
        Ok(s) => asked.answer(&SettingsView { here: asked.here("settings"), s: &s }, &s),
        Err(error) => asked.trouble(&error),
    }
}
