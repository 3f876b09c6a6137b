//! One of the broker's nodes, as its user holds it: where it is, and its stops and starts.

use std::net::SocketAddr;

use vltava_core::cluster::NodeId;

use crate::{Broker, Connector, Result, moves::goes_on};

/// One of the node ids of a broker; there are more than one if [`Builder::nodes`](crate::Builder::nodes) says so.
///
/// Nodes are for tests of how clients fail over. They share everything, what members of groups and fetch sessions are
/// known for included, so that a node which stops takes nothing with it, and one that starts has nothing to catch up
/// with.
#[derive(Debug, Clone, Copy)]
pub struct NodeHandle<'a> {
    broker: &'a Broker,
    id: NodeId,
}

impl<'a> NodeHandle<'a> {
    pub(crate) fn new(broker: &'a Broker, id: NodeId) -> Self {
        Self { broker, id }
    }

    /// Its id, from 1 on.
    pub fn id(&self) -> i32 {
        self.id.0
    }

    /// Where it listens while it runs.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.broker.doors.addresses_of(self.id)
    }

    /// Opens connections in process to this node alone, which refuses them while it is stopped.
    pub fn connector(&self) -> Connector {
        Connector::new(Some(self.id), &self.broker.node, &self.broker.doors)
    }

    /// Whether clients can reach it.
    pub fn is_running(&self) -> bool {
        self.broker.node.nodes().runs(self.id)
    }

    /// Stops it as a killed process stops: its connections are cut, its ports refuse. Each partition that it led is led
    /// by the next running node, in the next leader epoch, and so are its groups coordinated. One that is stopped stays
    /// so, and the last one that runs does not stop.
    ///
    /// While the disk is full or has failed no leader moves, so the node goes on, and the error says so; if there was
    /// room for some moves, those partitions have other leaders by then. A disk that fails later than that has the node
    /// stop and the error told: [`NodeHandle::is_running`] tells which it was.
    pub async fn stop(&self) -> Result<()> {
        let Broker { node, doors, .. } = self.broker;
        let _alone = node.turn_to_move().await.map_err(|error| goes_on(self.id, error))?;
        let position = node.withdraw(self.id)?;
        doors.close(self.id).await;
        node.log.settled(position).await
    }

    /// Starts it again, on the ports it had. It coordinates its groups again, and leads nothing until leaders are moved
    /// to it.
    pub async fn start(&self) -> Result<()> {
        let Broker { node, doors, .. } = self.broker;
        let _alone = node.moving.lock().await;
        doors.open_again(self.id, node).await?;
        node.rejoin(self.id);
        Ok(())
    }
}
