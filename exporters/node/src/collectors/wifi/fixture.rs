//! Recorded wireless devices, which `--collector.wifi.fixtures` reads: JSON as upstream's test has it.

use super::{Cell, Device, Station};
use exporter::CollectError;
use hostfs::{Buf, File};
use serde_json::Value;

pub(super) fn read(dir: &File<'_>, buf: &mut Buf) -> Result<Vec<Device>, CollectError> {
    let mut devices = Vec::new();
    for interface in list(&dir.join("interfaces.json"), buf)?.unwrap_or_default() {
        let name = text(&interface, "name");
        if name.is_empty() {
            continue;
        }
        let folder = dir.join(name);
        devices.push(Device {
            name: name.as_bytes().to_vec(),
            frequency_mhz: number(&interface, "frequency") as u32,
            cell: json(&folder.join("bss.json"), buf)?.as_ref().map(cell),
            stations: list(&folder.join("stationinfo.json"), buf)?.unwrap_or_default().iter().map(station).collect(),
        });
    }
    Ok(devices)
}

fn cell(bss: &Value) -> Cell {
    Cell {
        bssid: base64(text(bss, "bssid")),
        ssid: text(bss, "ssid").as_bytes().to_vec(),
        status: number(bss, "status"),
    }
}

fn station(info: &Value) -> Station {
    Station {
        hardware_address: base64(text(info, "hardwareaddr")),
        connected_ms: number(info, "connected") / NANOS_A_MS,
        inactive_ms: number(info, "inactive") / NANOS_A_MS,
        receive_bitrate: number(info, "receivebitrate"),
        transmit_bitrate: number(info, "transmitbitrate"),
        received_bytes: number(info, "receivedbytes"),
        transmitted_bytes: number(info, "transmittedbytes"),
        received_packets: number(info, "receivedpackets"),
        transmitted_packets: number(info, "transmittedpackets"),
        signal: info.get("signal").and_then(Value::as_i64).unwrap_or(0),
        transmit_retries: number(info, "transmitretries"),
        transmit_failed: number(info, "transmitfailed"),
        beacon_loss: number(info, "beaconloss"),
    }
}

/// `None` where the file is not there.
fn json(file: &File<'_>, buf: &mut Buf) -> Result<Option<Value>, CollectError> {
    let bytes = match file.read(buf) {
        Ok(bytes) => bytes,
        Err(e) if e.is_absent() => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    serde_json::from_slice(bytes).map(Some).map_err(|e| CollectError::failed(format!("{}: {e}", file.path().display())))
}

fn list(file: &File<'_>, buf: &mut Buf) -> Result<Option<Vec<Value>>, CollectError> {
    Ok(json(file, buf)?.map(|value| match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    }))
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or(0)
}

/// Go writes byte slices in base64; what is none of its characters is left out.
fn base64(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for c in text.bytes() {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

const NANOS_A_MS: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_of_go() {
        assert_eq!(base64("AQIDBAUG"), [1, 2, 3, 4, 5, 6]);
        assert_eq!(base64("qrvM3e7/"), [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
        assert_eq!(base64("AQI="), [1, 2]);
    }
}
