//! The planner, one module a table row or topic. A case is a world of a few lines and the plan for
//! it as text; whatever a case is about, [`case::holds`] also verifies what holds for every plan.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a helper of tests fails its test")]

mod arbitrary;
mod case;
mod certain;
mod checker;
mod cidr;
mod clean_up;
mod console_table;
mod contested;
mod copies;
mod disconnecting;
mod explain;
mod explain_group;
mod explain_now;
mod explain_overview;
mod forgeries;
mod in_time;
mod interfaces;
mod limits;
mod members;
mod names;
mod pair_table;
mod queue;
mod reasons;
mod rejections;
mod remedies;
mod restraint;
mod scope;
mod services;
mod several_stores;
mod status;
mod store_table;
mod tables;
mod tag_settings;
mod turns;
mod uninstalling;
mod window;
