//! `in_subnet`: whether an address lies in any of some networks.
//!
//! The networks are constants of the function itself, so that the scan can take them out of a
//! pushed filter and test the address before a row is built.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray};
use datafusion::arrow::datatypes::{DataType, UInt32Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::exec::types::IP_BYTES;
use crate::plan::pipeline::Subnet;
use crate::text;

/// The function: one address argument, `UInt32` (IPv4) or `FixedSizeBinary(16)`, to a Boolean
/// that is null where the address is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct InSubnet {
    networks: Vec<Subnet>,
    signature: Signature,
}

impl InSubnet {
    /// The function for these networks.
    pub fn new(networks: Vec<Subnet>) -> Self {
        let signature = Signature::uniform(
            1,
            vec![DataType::UInt32, DataType::FixedSizeBinary(IP_BYTES)],
            Volatility::Immutable,
        );
        Self {
            networks,
            signature,
        }
    }

    /// The call of the function on an address.
    pub fn call(address: Expr, networks: Vec<Subnet>) -> Expr {
        ScalarUDF::new_from_impl(Self::new(networks)).call(vec![address])
    }

    /// The networks tested.
    pub fn networks(&self) -> &[Subnet] {
        &self.networks
    }

    fn text(&self, address: &str) -> String {
        let mut text = format!("in_subnet({address}");
        for net in &self.networks {
            let length = net.prefix - if is_mapped(net) { 96 } else { 0 };
            let _ = write!(text, ", {}/{length}", text::ip(net.network));
        }
        text.push(')');
        text
    }
}

impl ScalarUDFImpl for InSubnet {
    fn name(&self) -> &str {
        "in_subnet"
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.text(&args.first().map(Expr::to_string).unwrap_or_default()))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let address = args.first().map(|arg| arg.schema_name().to_string());
        Ok(self.text(&address.unwrap_or_default()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [DataType::UInt32 | DataType::FixedSizeBinary(IP_BYTES)] => Ok(DataType::Boolean),
            other => plan_err!("in_subnet takes one address, not {other:?}"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [address] = args.args.as_slice() else {
            return exec_err!("in_subnet takes one address, not {}", args.args.len());
        };
        let scalar = matches!(address, ColumnarValue::Scalar(_));
        let rows = if scalar { 1 } else { args.number_rows };
        let result = SubnetSet::new(&self.networks).test(&address.to_array(rows)?)?;
        Ok(if scalar {
            let value = result.is_valid(0).then(|| result.value(0));
            ColumnarValue::Scalar(ScalarValue::Boolean(value))
        } else {
            ColumnarValue::Array(Arc::new(result))
        })
    }
}

/// Whether a network is one of IPv4 in its mapped form (RFC 4291, 2.5.5.2).
fn is_mapped(net: &Subnet) -> bool {
    net.prefix >= 96 && mapped_v4(net.network).is_some()
}

/// The IPv4 address, in host byte order, of an IPv4-mapped one.
fn mapped_v4(address: [u8; 16]) -> Option<u32> {
    let [head @ .., a, b, c, d] = address;
    let mapped = head == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    mapped.then(|| u32::from_be_bytes([a, b, c, d]))
}

/// Networks made ready for testing: (network, mask), by family. A network of one family holds no
/// address of the other, not even `::/0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubnetSet {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl SubnetSet {
    pub(crate) fn new(networks: &[Subnet]) -> Self {
        let (v4, v6): (Vec<&Subnet>, Vec<&Subnet>) =
            networks.iter().partition(|net| is_mapped(net));
        let v4 = v4.into_iter().map(|net| {
            let host_bits = 128 - u32::from(net.prefix.min(128));
            let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            (mapped_v4(net.network).unwrap_or(0) & mask, mask)
        });
        let v6 = v6.into_iter().map(|net| {
            let host_bits = 128 - u32::from(net.prefix.min(128));
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            (u128::from_be_bytes(net.network) & mask, mask)
        });
        Self {
            v4: v4.collect(),
            v6: v6.collect(),
        }
    }

    /// First and last address of each network, IPv4 as mapped.
    pub(crate) fn ranges(&self) -> Vec<([u8; 16], [u8; 16])> {
        let v4 = self.v4.iter().map(|(net, mask)| {
            let mapped = |address: u32| Ipv4Addr::from(address).to_ipv6_mapped().octets();
            (mapped(*net), mapped(*net | !*mask))
        });
        let v6 = self
            .v6
            .iter()
            .map(|(net, mask)| (net.to_be_bytes(), (net | !mask).to_be_bytes()));
        v4.chain(v6).collect()
    }

    /// Network and mask, where only one of IPv4 is among them.
    pub(crate) fn single_v4(&self) -> Option<(u32, u32)> {
        match self.v4.as_slice() {
            [network] => Some(*network),
            _ => None,
        }
    }

    /// Whether an IPv4 address (host byte order) is in any network.
    pub(crate) fn contains_v4(&self, address: u32) -> bool {
        self.v4.iter().any(|(net, mask)| address & mask == *net)
    }

    /// Whether an address of either family is in any network.
    pub(crate) fn contains(&self, address: [u8; 16]) -> bool {
        match mapped_v4(address) {
            Some(v4) => self.contains_v4(v4),
            None => {
                let address = u128::from_be_bytes(address);
                self.v6.iter().any(|(net, mask)| address & mask == *net)
            }
        }
    }

    fn test(&self, addresses: &dyn Array) -> Result<BooleanArray> {
        match addresses.data_type() {
            DataType::UInt32 => Ok(addresses
                .as_primitive::<UInt32Type>()
                .iter()
                .map(|address| address.map(|a| self.contains_v4(a)))
                .collect()),
            DataType::FixedSizeBinary(IP_BYTES) => Ok(addresses
                .as_fixed_size_binary()
                .iter()
                .map(|address| address.and_then(|a| a.try_into().ok()))
                .map(|address| address.map(|a| self.contains(a)))
                .collect()),
            other => exec_err!("in_subnet takes an address, not {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use datafusion::arrow::array::{FixedSizeBinaryArray, UInt32Array};

    use super::*;

    fn bytes(text: &str) -> [u8; 16] {
        match text.parse().unwrap() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        }
    }

    fn net(address: &str, prefix: u8) -> Subnet {
        Subnet {
            network: bytes(address),
            prefix: prefix + if address.contains(':') { 0 } else { 96 },
        }
    }

    #[test]
    fn each_family_has_its_own_networks() {
        let cases = [
            (net("10.0.0.0", 8), "10.255.0.1", true),
            (net("10.0.0.0", 8), "11.0.0.1", false),
            (net("0.0.0.0", 0), "255.1.2.3", true),
            (net("0.0.0.0", 0), "2001:db8::1", false),
            (net("::", 0), "2001:db8::1", true),
            (net("::", 0), "1.2.3.4", false),
            (net("1.2.3.4", 32), "1.2.3.4", true),
            (net("1.2.3.4", 32), "1.2.3.5", false),
            (net("fe80::", 10), "febf::1", true),
            (net("fe80::", 10), "fec0::1", false),
        ];
        for (net, address, expected) in cases {
            let set = SubnetSet::new(&[net]);
            assert_eq!(set.contains(bytes(address)), expected, "{net:?} {address}");
        }
    }

    #[test]
    fn both_column_types_keep_nulls() {
        let set = SubnetSet::new(&[net("10.0.0.0", 8), net("192.168.0.0", 16)]);
        let v4 = UInt32Array::from(vec![Some(0x0a01_0203), None, Some(0xc0a8_0001), Some(1)]);
        let expected = BooleanArray::from(vec![Some(true), None, Some(true), Some(false)]);
        assert_eq!(set.test(&v4).unwrap(), expected);
        let ip = [Some("10.1.2.3"), None, Some("192.168.0.1"), Some("::1")];
        let ip = FixedSizeBinaryArray::try_from_sparse_iter_with_size(
            ip.into_iter().map(|a| a.map(bytes)),
            IP_BYTES,
        )
        .unwrap();
        assert_eq!(set.test(&ip).unwrap(), expected);
    }

    #[test]
    fn the_networks_are_part_of_the_name() {
        let call = InSubnet::call(
            Expr::Column("a".into()),
            vec![net("10.0.0.0", 8), net("fe80::", 10)],
        );
        assert_eq!(
            call.schema_name().to_string(),
            "in_subnet(a, 10.0.0.0/8, fe80::/10)"
        );
    }
}
