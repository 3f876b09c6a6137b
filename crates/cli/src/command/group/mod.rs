//! `vltava group`: which consumer groups there are, how far behind they are, and what can be done about it.

mod delete;
mod describe;
mod list;
mod look;
mod reset;
mod show;

use vltava::client::{ErrorCode, GroupDescription, GroupMember, GroupState};

use crate::{
    brokers::{Brokers, Cluster},
    report::Failure,
};

/// List, describe, watch, reset and delete consumer groups
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List groups
    List {
        #[command(flatten)]
        args: list::Args,
        #[command(flatten)]
        brokers: Brokers,
    },
    /// Show what a group has committed, how far that is behind, and who works on it
    Describe {
        #[command(flatten)]
        args: describe::Args,
        #[command(flatten)]
        brokers: Brokers,
    },
    /// Show how far a group is behind, once or again and again
    Lag {
        #[command(flatten)]
        args: describe::LagArgs,
        #[command(flatten)]
        brokers: Brokers,
    },
    /// Have a group without members go on from elsewhere; only shows what would change, unless --yes
    Reset {
        #[command(flatten)]
        args: reset::Args,
        #[command(flatten)]
        brokers: Brokers,
    },
    /// Delete groups without members, or what they committed for some topics; only shows what would go, unless --yes
    Delete {
        #[command(flatten)]
        args: delete::Args,
        #[command(flatten)]
        brokers: Brokers,
    },
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let (Verb::List { brokers, .. }
    | Verb::Describe { brokers, .. }
    | Verb::Lag { brokers, .. }
    | Verb::Reset { brokers, .. }
    | Verb::Delete { brokers, .. }) = &args.verb;
    let cluster = brokers.connect().await?;
    let done = match &args.verb {
        Verb::List { args, .. } => list::run(&cluster, args).await,
        Verb::Describe { args, .. } => describe::run(&cluster, args).await,
        Verb::Lag { args, .. } => describe::lag(&cluster, args).await,
        Verb::Reset { args, .. } => reset::run(&cluster, args).await,
        Verb::Delete { args, .. } => delete::run(&cluster, args).await,
    };
    done.and(cluster.close().await)
}

/// A group, or none if it is not there, however brokers say so.
async fn described(cluster: &Cluster, name: &str) -> Result<Option<GroupDescription>, Failure> {
    match cluster.client.admin().describe_group(name).await {
        Ok(group) if group.state == GroupState::Dead => Ok(None),
        Ok(group) => Ok(Some(group)),
        Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => Ok(None),
        Err(error) => Err(vltava::Error::from(error).into()),
    }
}

fn not_there(cluster: &Cluster, name: &str) -> Failure {
    Failure::not_found(format!("group {name} is not there on {}", cluster.name))
        .fix(format!("those that are: vltava group list{}", cluster.flag))
}

/// Refuses to change what members of the group are at work with.
fn refuse_members(group: &GroupDescription) -> Result<(), Failure> {
    const NAMED_MAX: usize = 5;
    if group.members.is_empty() {
        return Ok(());
    }
    let count = group.members.len();
    let mut named: Vec<String> = group.members.iter().take(NAMED_MAX).map(called).collect();
    if count > NAMED_MAX {
        named.push(format!("{} more", count - NAMED_MAX));
    }
    let members = if count == 1 { "a member" } else { "members" };
    let what = format!("group {} has {members}: {}", group.group, named.join(", "));
    Err(Failure::new(what).fix("stop them, or wait until their sessions end"))
}

/// What its client calls itself, and where it is.
fn called(member: &GroupMember) -> String {
    format!("{} {}", member.client_id, member.host.trim_start_matches('/'))
}
