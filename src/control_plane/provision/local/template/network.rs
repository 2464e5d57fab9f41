//! Addresses and zones: what `Fn::Cidr` and `Fn::GetAZs` compute.

use std::net::IpAddr;

use super::refusal::Refusal;

/// At most as many as `Fn::Cidr` hands out.
const MAX_BLOCKS: u32 = 256;

/// Cuts `count` blocks with `host_bits` bits each off the start of a block; without bits, as large as they can be.
pub(super) fn cidr(
    block: &str,
    count: &str,
    host_bits: Option<&str>,
) -> Result<Vec<String>, Refusal> {
    let refuse = |why: &str| {
        let block = crop(block);
        Refusal::error(format_args!(
            "Fn::Cidr cannot cut {block} into blocks: {why}"
        ))
    };
    let (address, prefix) = block
        .split_once('/')
        .and_then(|(address, prefix)| {
            Some((address.parse::<IpAddr>().ok()?, prefix.parse::<u32>().ok()?))
        })
        .ok_or_else(|| refuse("it is no CIDR block"))?;
    let (width, address) = match address {
        IpAddr::V4(address) => (32, u128::from(u32::from(address))),
        IpAddr::V6(address) => (128, u128::from(address)),
    };
    if prefix > width {
        return Err(refuse("it is no CIDR block"));
    }
    let count = count
        .parse::<u32>()
        .ok()
        .filter(|count| (1..=MAX_BLOCKS).contains(count))
        .ok_or_else(|| refuse("the count is a number from 1 to 256"))?;
    let free = width - prefix;
    let needed = count.next_power_of_two().trailing_zeros();
    let bits = match host_bits {
        Some(bits) => bits.parse::<u32>().ok().filter(|bits| *bits > 0),
        None => free.checked_sub(needed),
    };
    let bits = bits
        .filter(|bits| bits.checked_add(needed).is_some_and(|all| all <= free))
        .ok_or_else(|| refuse("so many of that size do not fit"))?;

    // A block may be written with host bits set; it begins where its network does.
    let network = if free == 128 {
        0
    } else {
        address >> free << free
    };
    let blocks = (0..u128::from(count)).map(|index| {
        let start = network + (index.checked_shl(bits).unwrap_or(0));
        let address: IpAddr = match u32::try_from(start) {
            Ok(start) if width == 32 => IpAddr::V4(start.into()),
            _ => IpAddr::V6(start.into()),
        };
        format!("{address}/{}", width - bits)
    });
    Ok(blocks.collect())
}

/// The zones of a region, as a fresh account sees them.
pub(super) fn zones(region: &str) -> Vec<String> {
    let letters = match region {
        "us-east-1" => "abcdef",
        "us-west-2" | "ap-northeast-2" => "abcd",
        _ => "abc",
    };
    letters
        .chars()
        .map(|letter| format!("{region}{letter}"))
        .collect()
}

fn crop(text: &str) -> String {
    text.chars().take(50).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_cut_from_the_start() {
        for (block, count, bits, expected) in [
            (
                "10.0.0.0/16",
                "3",
                Some("8"),
                &["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"][..],
            ),
            (
                "10.0.7.9/22",
                "2",
                Some("5"),
                &["10.0.4.0/27", "10.0.4.32/27"],
            ),
            (
                "192.168.0.0/24",
                "3",
                None,
                &["192.168.0.0/26", "192.168.0.64/26", "192.168.0.128/26"],
            ),
            (
                "2001:db8::/56",
                "2",
                Some("64"),
                &["2001:db8::/64", "2001:db8:0:1::/64"],
            ),
            ("0.0.0.0/0", "1", Some("32"), &["0.0.0.0/0"]),
            ("::/0", "1", None, &["::/0"]),
        ] {
            assert_eq!(cidr(block, count, bits).unwrap(), expected, "{block}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (block, count, bits) in [
            ("10.0.0.0/24", "3", Some("8")),
            ("10.0.0.0/24", "0", Some("4")),
            ("10.0.0.0/8", "257", Some("4")),
            ("10.0.0.0/24", "1", Some("0")),
            ("10.0.0.0/24", "1", Some("4294967295")),
            ("10.0.0.0/33", "1", Some("1")),
            ("10.0.0.0", "1", Some("1")),
            ("vpc", "1", Some("1")),
            ("10.0.0.0/32", "2", None),
        ] {
            assert!(
                cidr(block, count, bits).is_err(),
                "{block} {count} {bits:?}"
            );
        }
    }
}
