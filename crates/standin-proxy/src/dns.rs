//! Answers to the sandbox's DNS queries: a fake address for every name, and nothing forwarded.
//!
//! A query that leaves the machine is a channel out (THREATS 20, 21), so none does. Every name gets an
//! address from 198.18.0.0/15 (RFC 2544, never routed); the proxy remembers which, and the real look-up
//! happens in `resolve`, after policy has said yes. AAAA, HTTPS and SVCB get an empty answer, which also
//! keeps clients from trying QUIC and ECH. Sans I/O: the caller owns the socket.

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use standin_model::limits::MAX_FAKE_ADDRESSES;
use standin_model::{Host, Name};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{PoisonError, RwLock};

/// First address given out.
const FIRST: u32 = u32::from_be_bytes([198, 18, 0, 1]);
/// How long a client may remember an answer, in seconds. The session outlives it; the address never changes.
const TTL: u32 = 60;

/// Names and the addresses that stand for them in this session.
#[derive(Default)]
pub struct FakeAddresses {
    table: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    by_name: HashMap<Name, Ipv4Addr>,
    by_address: HashMap<Ipv4Addr, Name>,
}

impl FakeAddresses {
    /// The address that stands for `name`; `None` when the session has used up its share.
    pub fn address_of(&self, name: &Name) -> Option<Ipv4Addr> {
        if let Some(address) = self.table.read().unwrap_or_else(PoisonError::into_inner).by_name.get(name) {
            return Some(*address);
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = table.by_name.get(name) {
            return Some(*address);
        }
        let used = table.by_name.len();
        if used >= MAX_FAKE_ADDRESSES {
            return None;
        }
        let address = Ipv4Addr::from(FIRST + u32::try_from(used).ok()?);
        table.by_name.insert(name.clone(), address);
        table.by_address.insert(address, name.clone());
        Some(address)
    }

    /// What a client that dialled `address` meant.
    pub fn host_behind(&self, address: IpAddr) -> Host {
        if let Host::Ip(IpAddr::V4(v4)) = Host::from(address)
            && let Some(name) = self.table.read().unwrap_or_else(PoisonError::into_inner).by_address.get(&v4)
        {
            return Host::Name(name.clone());
        }
        Host::from(address)
    }

    /// What a client means that names a host itself: one that looked the name up first names one of our addresses.
    pub fn named(&self, host: Host) -> Host {
        match host {
            Host::Ip(address) => self.host_behind(address),
            Host::Name(_) => host,
        }
    }

    /// The answer to one query in wire format (RFC 1035 §4); `None` if it is not a query we can answer at all.
    pub fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let query = Message::from_vec(query).ok()?;
        if query.metadata.message_type != MessageType::Query {
            return None;
        }
        let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
        reply.metadata.recursion_desired = query.metadata.recursion_desired;
        reply.metadata.recursion_available = true;
        reply.metadata.response_code = self.fill(&query, &mut reply);
        reply.to_vec().ok()
    }

    fn fill(&self, query: &Message, reply: &mut Message) -> ResponseCode {
        let [question] = query.queries.as_slice() else {
            return ResponseCode::FormErr;
        };
        reply.add_query(question.clone());
        if query.metadata.op_code != OpCode::Query || question.query_class() != DNSClass::IN {
            return ResponseCode::NotImp;
        }
        let Ok(Host::Name(name)) = Host::parse(&question.name().to_ascii()) else {
            return ResponseCode::NXDomain;
        };
        if question.query_type() != RecordType::A {
            return ResponseCode::NoError; // NODATA: the name exists, this type does not
        }
        match self.address_of(&name) {
            Some(address) => {
                reply.add_answer(Record::from_rdata(question.name().clone(), TTL, RData::A(A(address))));
                ResponseCode::NoError
            }
            None => ResponseCode::ServFail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::Query;
    use std::str::FromStr;

    fn ask(names: &FakeAddresses, name: &str, kind: RecordType) -> String {
        let mut query = Message::query();
        query.add_query(Query::query(hickory_proto::rr::Name::from_str(name).unwrap(), kind));
        let reply = Message::from_vec(&names.answer(&query.to_vec().unwrap()).unwrap()).unwrap();
        assert_eq!(reply.metadata.id, query.metadata.id);
        let answers: Vec<_> = reply.answers.iter().map(|r| r.data.to_string()).collect();
        format!("{:?} {answers:?}", reply.metadata.response_code)
    }

    #[test]
    fn every_name_has_one_address_and_no_other_type() {
        let names = FakeAddresses::default();
        assert_eq!(ask(&names, "a.example.", RecordType::A), r#"NoError ["198.18.0.1"]"#);
        assert_eq!(ask(&names, "B.example.", RecordType::A), r#"NoError ["198.18.0.2"]"#);
        assert_eq!(ask(&names, "A.EXAMPLE.", RecordType::A), r#"NoError ["198.18.0.1"]"#);
        assert_eq!(ask(&names, "a.example.", RecordType::AAAA), "NoError []");
        assert_eq!(ask(&names, "a.example.", RecordType::HTTPS), "NoError []");
        assert_eq!(ask(&names, "a_b.example.", RecordType::A), "NXDomain []");
    }

    #[test]
    fn an_address_leads_back_to_its_name() {
        let names = FakeAddresses::default();
        let Ok(Host::Name(name)) = Host::parse("a.example") else { panic!("a name") };
        let address = names.address_of(&name).unwrap();
        assert_eq!(names.host_behind(IpAddr::V4(address)), Host::Name(name));
        let mapped = IpAddr::V6(address.to_ipv6_mapped());
        assert_eq!(names.host_behind(mapped).to_string(), "a.example");
        assert_eq!(names.host_behind("9.9.9.9".parse().unwrap()).to_string(), "9.9.9.9");
    }

    #[test]
    fn garbage_is_not_answered() {
        let names = FakeAddresses::default();
        assert!(names.answer(b"").is_none());
        assert!(names.answer(&[0xff; 40]).is_none());
    }
}
