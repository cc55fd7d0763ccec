//! What SQL lacks for addresses: `ip('192.0.2.1')` is the bytes that the tables hold, `ip_text(source)` the text of them, and
//! `in_network(source, '192.0.2.0/24')` whether it lies within.
//!
//! `in_network` with a network that is written out becomes a range as well, because a range lets the reader leave out row groups by
//! the least and greatest address that they note. The range alone would be wrong: `c000:0201::` begins with the bytes of 192.0.2.1.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BinaryViewArray, BinaryViewBuilder, BooleanArray, StringViewArray, StringViewBuilder,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::cast::{as_binary_view_array, as_string_view_array};
use datafusion::common::{ScalarValue, plan_datafusion_err};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

/// All of them.
pub(crate) fn all() -> Vec<Arc<ScalarUDF>> {
    [Function::Ip, Function::IpText, Function::InNetwork, Function::InNetworkExactly]
        .into_iter()
        .map(udf)
        .collect()
}

fn udf(function: Function) -> Arc<ScalarUDF> {
    let (address, text) = (DataType::BinaryView, DataType::Utf8View);
    let (takes, gives) = match function {
        Function::Ip => (vec![text], address),
        Function::IpText => (vec![address], text),
        Function::InNetwork | Function::InNetworkExactly => (vec![address, text], DataType::Boolean),
    };
    let signature = Signature::exact(takes, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(AddressFunction { function, signature, gives }))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Function {
    Ip,
    IpText,
    InNetwork,
    /// What is left of it beside the range.
    InNetworkExactly,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AddressFunction {
    function: Function,
    signature: Signature,
    gives: DataType,
}

impl ScalarUDFImpl for AddressFunction {
    fn name(&self) -> &str {
        match self.function {
            Function::Ip => "ip",
            Function::IpText => "ip_text",
            Function::InNetwork => "in_network",
            Function::InNetworkExactly => "in_network_exactly",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.gives.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_one = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_one { 1 } else { args.number_rows };
        let column = |index: usize| args.args[index].to_array(rows);
        let result: ArrayRef = match self.function {
            Function::Ip => Arc::new(ip(as_string_view_array(&column(0)?)?)?),
            Function::IpText => Arc::new(ip_text(as_binary_view_array(&column(0)?)?)),
            Function::InNetwork | Function::InNetworkExactly => {
                let addresses = column(0)?;
                let addresses = as_binary_view_array(&addresses)?;
                match &args.args[1] {
                    ColumnarValue::Scalar(network) => Arc::new(in_one_network(addresses, network)?),
                    ColumnarValue::Array(networks) => {
                        Arc::new(in_networks(addresses, as_string_view_array(networks)?)?)
                    }
                }
            }
        };
        if is_one {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?))
        } else {
            Ok(ColumnarValue::Array(result))
        }
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let (Function::InNetwork, [address, Expr::Literal(network, _)]) = (self.function, args.as_slice())
        else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let Some(network) = network.try_as_str().flatten().map(network_of).transpose()? else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let end = |bytes: Vec<u8>| lit(ScalarValue::BinaryView(Some(bytes)));
        let (first, last) = network.ends();
        let range = address.clone().gt_eq(end(first)).and(address.clone().lt_eq(end(last)));
        let exactly = udf(Function::InNetworkExactly).call(args);
        Ok(ExprSimplifyResult::Simplified(range.and(exactly)))
    }
}

fn ip(texts: &StringViewArray) -> Result<BinaryViewArray> {
    let mut addresses = BinaryViewBuilder::with_capacity(texts.len());
    for text in texts {
        let Some(text) = text else {
            addresses.append_null();
            continue;
        };
        match IpAddr::from_str(text)
            .map_err(|_| plan_datafusion_err!("'{}' is no address", text.escape_debug()))?
        {
            IpAddr::V4(ip) => addresses.append_value(ip.octets()),
            IpAddr::V6(ip) => addresses.append_value(ip.octets()),
        }
    }
    Ok(addresses.finish())
}

fn ip_text(addresses: &BinaryViewArray) -> StringViewArray {
    let mut texts = StringViewBuilder::with_capacity(addresses.len());
    for address in addresses {
        texts.append_option(address.and_then(address_of).map(|ip| ip.to_string()));
    }
    texts.finish()
}

/// An address by its bytes; none of another length.
pub(crate) fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => bytes.first_chunk::<4>().map(|bytes| IpAddr::from(*bytes)),
        16 => bytes.first_chunk::<16>().map(|bytes| IpAddr::from(*bytes)),
        _ => None,
    }
}

fn in_one_network(addresses: &BinaryViewArray, network: &ScalarValue) -> Result<BooleanArray> {
    match network.try_as_str().flatten().map(network_of).transpose()? {
        Some(network) => {
            Ok(addresses.iter().map(|bytes| bytes.map(|bytes| network.contains(bytes))).collect())
        }
        None => Ok(BooleanArray::new_null(addresses.len())),
    }
}

fn in_networks(addresses: &BinaryViewArray, networks: &StringViewArray) -> Result<BooleanArray> {
    let each = addresses.iter().zip(networks).map(|(bytes, network)| match (bytes, network) {
        (Some(bytes), Some(network)) => Ok(Some(network_of(network)?.contains(bytes))),
        _ => Ok(None),
    });
    each.collect()
}

/// A network: the bytes of its first address, and how many bits all its addresses share.
#[derive(Clone, Copy)]
struct Network {
    ip: IpAddr,
    bits: u32,
}

fn network_of(text: &str) -> Result<Network> {
    let network = || {
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let ip = IpAddr::from_str(ip).ok()?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (bits <= most).then_some(Network { ip, bits })
    };
    network().ok_or_else(|| plan_datafusion_err!("'{}' is no network", text.escape_debug()))
}

impl Network {
    /// The bits that the addresses do not share.
    fn rest(self) -> u128 {
        let free = if self.ip.is_ipv4() { 32 } else { 128 } - self.bits;
        u128::MAX.checked_shr(128 - free).unwrap_or(0)
    }

    fn number(self) -> u128 {
        match self.ip {
            IpAddr::V4(ip) => u128::from(u32::from(ip)),
            IpAddr::V6(ip) => u128::from(ip),
        }
    }

    fn bytes(self, number: u128) -> Vec<u8> {
        let bytes = number.to_be_bytes();
        if self.ip.is_ipv4() { bytes[12..].to_vec() } else { bytes.to_vec() }
    }

    fn ends(self) -> (Vec<u8>, Vec<u8>) {
        let first = self.number() & !self.rest();
        (self.bytes(first), self.bytes(first | self.rest()))
    }

    fn contains(self, bytes: &[u8]) -> bool {
        address_of(bytes).is_some_and(|ip| {
            let other = Self { ip, ..self };
            ip.is_ipv4() == self.ip.is_ipv4() && (other.number() ^ self.number()) & !self.rest() == 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let bytes = |text: &str| match text.parse().unwrap() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        for (network, within, without) in [
            (
                "192.0.2.0/24",
                vec!["192.0.2.0", "192.0.2.255"],
                vec!["192.0.1.255", "192.0.3.0", "c000:0201::"],
            ),
            ("192.0.2.77/31", vec!["192.0.2.76", "192.0.2.77"], vec!["192.0.2.75", "192.0.2.78"]),
            ("192.0.2.1", vec!["192.0.2.1"], vec!["192.0.2.2"]),
            ("0.0.0.0/0", vec!["0.0.0.0", "255.255.255.255"], vec!["::"]),
            ("2001:db8::/32", vec!["2001:db8::", "2001:db8:ffff::1"], vec!["2001:db9::", "32.1.13.184"]),
            ("::/0", vec!["::", "ffff::"], vec!["0.0.0.0"]),
            ("::1/128", vec!["::1"], vec!["::2"]),
        ] {
            let parsed = network_of(network).unwrap();
            let (first, last) = parsed.ends();
            for ip in within {
                assert!(parsed.contains(&bytes(ip)), "{ip} in {network}");
                assert!(first <= bytes(ip) && bytes(ip) <= last, "{ip} in the range of {network}");
            }
            for ip in without {
                assert!(!parsed.contains(&bytes(ip)), "{ip} in {network}");
            }
        }
        for bad in [
            "",
            "/",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2",
            "::/129",
            "x/8",
            "192.0.2.0/-1",
            "192.0.2.0/8/8",
        ] {
            assert!(network_of(bad).is_err(), "{bad}");
        }
    }
}
