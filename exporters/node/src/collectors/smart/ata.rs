//! SMART of an ATA disk (ATA8-ACS 7.53): attributes, thresholds, the disk's own verdict.

use super::Answer;
use crate::sys::scsi::{Ata, Disk};
use exporter::{Desc, Part};
use std::path::Path;

pub(super) const STANDBY: Desc =
    Desc::gauge("node_smart_standby", "Whether the disk sleeps; it is not asked for more then.");
const INFO: Desc = Desc::gauge("node_smart_info", "Model, serial number and firmware of the disk, value is always 1.");
const HEALTHY: Desc =
    Desc::gauge("node_smart_healthy", "The disk's own verdict: 0 when an attribute is past its threshold.");
const VALUE: Desc = Desc::gauge("node_smart_attribute_value", "Normalized value of a SMART attribute; lower is worse.");
const WORST: Desc = Desc::gauge("node_smart_attribute_worst", "Lowest normalized value of a SMART attribute so far.");
const THRESHOLD: Desc =
    Desc::gauge("node_smart_attribute_threshold", "Value at which a SMART attribute means failure.");
const RAW: Desc =
    Desc::gauge("node_smart_attribute_raw", "Raw value of a SMART attribute; its meaning is the maker's.");
const TEMPERATURE: Desc = Desc::gauge("node_smart_temperature_celsius", "Temperature of the disk.");

/// What a disk says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Health {
    model: String,
    serial: String,
    firmware: String,
    healthy: Option<bool>,
    attributes: Vec<Attribute>,
}

#[derive(Debug, PartialEq, Eq)]
struct Attribute {
    id: u8,
    value: u8,
    worst: u8,
    threshold: Option<u8>,
    raw: u64,
}

const SMART: u8 = 0xb0;
const READ_DATA: u8 = 0xd0;
const READ_THRESHOLDS: u8 = 0xd1;
const RETURN_STATUS: u8 = 0xda;
/// What SMART wants in the middle and high address registers, and what it leaves there on failure.
const KEY: [u8; 3] = [0, 0x4f, 0xc2];
const FAILING: [u8; 2] = [0xf4, 0x2c];

pub(super) fn ask(device: &Path, timeout_ms: u32) -> rustix::io::Result<Answer> {
    const CHECK_POWER_MODE: u8 = 0xe5;
    const IDENTIFY: u8 = 0xec;
    let disk = Disk::open(device, timeout_ms)?;
    // A disk that sleeps answers this without waking up.
    if let Ok(registers) = disk.ask(Ata { command: CHECK_POWER_MODE, ..Ata::default() })
        && registers.count == 0
    {
        return Ok(Answer::Standby);
    }
    let smart = |features, count| Ata { command: SMART, features, count, lba: KEY };
    let identity = disk.read(Ata { command: IDENTIFY, count: 1, ..Ata::default() })?;
    let data = disk.read(smart(READ_DATA, 1))?;
    let thresholds = disk.read(smart(READ_THRESHOLDS, 1)).ok();
    let mut health = parse(&identity, &data, thresholds.as_ref());
    health.healthy =
        disk.ask(smart(RETURN_STATUS, 0)).ok().and_then(|registers| match [registers.lba[1], registers.lba[2]] {
            FAILING => Some(false),
            [0x4f, 0xc2] => Some(true),
            _ => None,
        });
    Ok(Answer::Ata(Box::new(health)))
}

/// Identity: serial number in words 10 to 19, firmware in 23 to 26, model in 27 to 46. Attributes: 30 entries of 12 bytes
/// behind a version of 2; thresholds likewise.
fn parse(identity: &[u8; 512], data: &[u8; 512], thresholds: Option<&[u8; 512]>) -> Health {
    let threshold = |id: u8| {
        let table = thresholds.filter(|t| is_whole(t))?;
        table[2..362].chunks_exact(12).find(|entry| entry[0] == id).map(|entry| entry[1])
    };
    let attributes = data[2..362]
        .chunks_exact(12)
        .filter(|entry| entry[0] != 0)
        .map(|entry| Attribute {
            id: entry[0],
            value: entry[3],
            worst: entry[4],
            threshold: threshold(entry[0]),
            raw: entry[5..11].iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)),
        })
        .collect();
    Health {
        model: text(&identity[54..94]),
        serial: text(&identity[20..40]),
        firmware: text(&identity[46..54]),
        healthy: None,
        attributes: if is_whole(data) { attributes } else { Vec::new() },
    }
}

/// All bytes add up to nothing.
fn is_whole(sector: &[u8; 512]) -> bool {
    sector.iter().fold(0u8, |sum, &b| sum.wrapping_add(b)) == 0
}

/// ATA's strings have the bytes of each word swapped.
fn text(words: &[u8]) -> String {
    let bytes: Vec<u8> = words.chunks_exact(2).flat_map(|word| [word[1], word[0]]).collect();
    String::from_utf8_lossy(bytes.trim_ascii()).into_owned()
}

impl Health {
    pub(super) fn emit(&self, device: &[u8], out: &mut Part) {
        let label: (&str, &[u8]) = ("device", device);
        let labels = [
            label,
            ("firmware", self.firmware.as_bytes()),
            ("model", self.model.as_bytes()),
            ("serial", self.serial.as_bytes()),
        ];
        out.family(&INFO).sample(&labels, 1u64);
        if let Some(healthy) = self.healthy {
            out.family(&HEALTHY).sample(&[label], healthy);
        }
        for attribute in &self.attributes {
            let id = attribute.id.to_string();
            let labels = [label, ("id", id.as_bytes()), ("name", name(attribute.id).as_bytes())];
            out.family(&VALUE).sample(&labels, attribute.value);
            out.family(&WORST).sample(&labels, attribute.worst);
            if let Some(threshold) = attribute.threshold {
                out.family(&THRESHOLD).sample(&labels, threshold);
            }
            out.family(&RAW).sample(&labels, attribute.raw);
        }
        // 194 is the temperature, 190 that of the air about it; the low byte is degrees.
        let of = |id| self.attributes.iter().find(|a| a.id == id).map(|a| (a.raw & 0xff) as u8 as i8);
        if let Some(celsius) = of(194).or_else(|| of(190)) {
            out.family(&TEMPERATURE).sample(&[label], celsius);
        }
    }
}

/// The field's names of attributes that most makers share.
fn name(id: u8) -> &'static str {
    match id {
        1 => "raw_read_error_rate",
        2 => "throughput_performance",
        3 => "spin_up_time",
        4 => "start_stop_count",
        5 => "reallocated_sector_ct",
        7 => "seek_error_rate",
        8 => "seek_time_performance",
        9 => "power_on_hours",
        10 => "spin_retry_count",
        11 => "calibration_retry_count",
        12 => "power_cycle_count",
        171 => "program_fail_count",
        172 => "erase_fail_count",
        174 => "unexpect_power_loss_ct",
        175 => "program_fail_count_chip",
        176 => "erase_fail_count_chip",
        173 | 177 => "wear_leveling_count",
        178 => "used_rsvd_blk_cnt_chip",
        179 => "used_rsvd_blk_cnt_tot",
        180 => "unused_rsvd_blk_cnt_tot",
        181 => "program_fail_cnt_total",
        182 => "erase_fail_count_total",
        183 => "runtime_bad_block",
        184 => "end_to_end_error",
        187 => "reported_uncorrect",
        188 => "command_timeout",
        189 => "high_fly_writes",
        190 => "airflow_temperature_cel",
        191 => "g_sense_error_rate",
        192 => "power_off_retract_count",
        193 | 225 => "load_cycle_count",
        194 => "temperature_celsius",
        195 => "hardware_ecc_recovered",
        196 => "reallocated_event_count",
        197 => "current_pending_sector",
        198 => "offline_uncorrectable",
        199 => "udma_crc_error_count",
        200 => "multi_zone_error_rate",
        202 => "percent_lifetime_remain",
        220 => "disk_shift",
        222 => "loaded_hours",
        223 => "load_retry_count",
        226 => "load_in_time",
        231 => "ssd_life_left",
        170 | 232 => "available_reservd_space",
        233 => "media_wearout_indicator",
        240 => "head_flying_hours",
        241 => "total_lbas_written",
        242 => "total_lbas_read",
        254 => "free_fall_sensor",
        _ => "unknown_attribute",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(mut sector: [u8; 512]) -> [u8; 512] {
        let sum = sector.iter().fold(0u8, |sum, &b| sum.wrapping_add(b));
        sector[511] = sector[511].wrapping_sub(sum);
        sector
    }

    #[test]
    fn a_disk() {
        let mut identity = [b' '; 512];
        identity[54..62].copy_from_slice(b"UQMED SI");
        identity[20..24].copy_from_slice(b"2130");
        let mut data = [0; 512];
        data[2..14].copy_from_slice(&[5, 0x33, 0, 99, 98, 8, 1, 0, 0, 0, 0, 0]);
        data[14..26].copy_from_slice(&[194, 0x22, 0, 64, 50, 36, 0, 0x32, 0, 0, 0, 0]);
        let mut thresholds = [0; 512];
        thresholds[2..4].copy_from_slice(&[5, 10]);
        let mut health = parse(&identity, &whole(data), Some(&whole(thresholds)));
        health.healthy = Some(true);
        let mut out = Part::new();
        health.emit(b"sda", &mut out);
        let mut text = Vec::new();
        exposition::Page::merge(vec![out]).0.write_text(&mut text);
        let text = String::from_utf8(text).unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_smart_attribute_raw{device=\"sda\",id=\"194\",name=\"temperature_celsius\"} 3.276836e+06",
                "node_smart_attribute_raw{device=\"sda\",id=\"5\",name=\"reallocated_sector_ct\"} 264",
                "node_smart_attribute_threshold{device=\"sda\",id=\"5\",name=\"reallocated_sector_ct\"} 10",
                "node_smart_attribute_value{device=\"sda\",id=\"194\",name=\"temperature_celsius\"} 64",
                "node_smart_attribute_value{device=\"sda\",id=\"5\",name=\"reallocated_sector_ct\"} 99",
                "node_smart_attribute_worst{device=\"sda\",id=\"194\",name=\"temperature_celsius\"} 50",
                "node_smart_attribute_worst{device=\"sda\",id=\"5\",name=\"reallocated_sector_ct\"} 98",
                "node_smart_healthy{device=\"sda\"} 1",
                "node_smart_info{device=\"sda\",firmware=\"\",model=\"QUEM DIS\",serial=\"1203\"} 1",
                "node_smart_temperature_celsius{device=\"sda\"} 36",
            ]
        );
    }

    #[test]
    fn a_sector_that_does_not_add_up_has_no_attributes() {
        let mut data = [0; 512];
        data[2] = 5;
        assert_eq!(parse(&[b' '; 512], &data, None).attributes, []);
    }

    proptest! {
        #[test]
        fn any_sectors_are_survived(identity: Vec<u8>, data: Vec<u8>, thresholds: Vec<u8>) {
            let sector = |bytes: &[u8]| {
                let mut sector = [0; 512];
                let n = bytes.len().min(512);
                sector[..n].copy_from_slice(&bytes[..n]);
                whole(sector)
            };
            let health = parse(&sector(&identity), &sector(&data), Some(&sector(&thresholds)));
            health.emit(b"sda", &mut Part::new());
        }
    }
}
