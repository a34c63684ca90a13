//! The events that have a family of their own, with upstream's names for them.

use super::Family;
use crate::sys::perf::Event;

pub(super) struct Known {
    /// Its name in the flags.
    pub(super) profiler: &'static str,
    metric: &'static str,
    help: &'static str,
    event: Event,
}

impl Known {
    pub(super) fn event(&self) -> (Family, Event) {
        (Family { name: self.metric.to_owned(), help: self.help.to_owned() }, self.event)
    }
}

const fn known(profiler: &'static str, metric: &'static str, help: &'static str, event: Event) -> Known {
    Known { profiler, metric, help, event }
}

/// `PERF_TYPE_HARDWARE`.
const fn hardware(config: u64) -> Event {
    Event { kind: 0, config }
}

/// `PERF_TYPE_SOFTWARE`.
const fn software(config: u64) -> Event {
    Event { kind: 1, config }
}

/// `PERF_TYPE_HW_CACHE`: which cache, operation, result.
const fn cache(id: u64, operation: u64, result: u64) -> Event {
    Event { kind: 3, config: id | operation << 8 | result << 16 }
}

const READ: u64 = 0;
const WRITE: u64 = 1;
const ACCESS: u64 = 0;
const MISS: u64 = 1;
const L1D: u64 = 0;
const L1I: u64 = 1;
const LL: u64 = 2;
const DTLB: u64 = 3;
const ITLB: u64 = 4;
const BPU: u64 = 5;

pub(super) const HARDWARE: [Known; 9] = [
    known("CpuCycles", "node_perf_cpucycles_total", "Number of CPU cycles (frequency scaled)", hardware(0)),
    known("CpuInstr", "node_perf_instructions_total", "Number of CPU instructions", hardware(1)),
    known("CacheRef", "node_perf_cache_refs_total", "Number of cache references (non frequency scaled)", hardware(2)),
    known("CacheMisses", "node_perf_cache_misses_total", "Number of cache misses", hardware(3)),
    known("BranchInstr", "node_perf_branch_instructions_total", "Number of CPU branch instructions", hardware(4)),
    known("BranchMisses", "node_perf_branch_misses_total", "Number of CPU branch misses", hardware(5)),
    known(
        "StalledCyclesFrontend",
        "node_perf_stalled_cycles_frontend_total",
        "Number of stalled frontend CPU cycles",
        hardware(7),
    ),
    known(
        "StalledCyclesBackend",
        "node_perf_stalled_cycles_backend_total",
        "Number of stalled backend CPU cycles",
        hardware(8),
    ),
    known("RefCpuCycles", "node_perf_ref_cpucycles_total", "Number of CPU cycles", hardware(9)),
];

pub(super) const SOFTWARE: [Known; 5] = [
    known("PageFault", "node_perf_page_faults_total", "Number of page faults", software(2)),
    known("ContextSwitch", "node_perf_context_switches_total", "Number of context switches", software(3)),
    known("CpuMigration", "node_perf_cpu_migrations_total", "Number of CPU process migrations", software(4)),
    known("MinorFault", "node_perf_minor_faults_total", "Number of minor page faults", software(5)),
    known("MajorFault", "node_perf_major_faults_total", "Number of major page faults", software(6)),
];

pub(super) const CACHE: [Known; 16] = [
    known(
        "L1DataReadHit",
        "node_perf_cache_l1d_read_hits_total",
        "Number L1 data cache read hits",
        cache(L1D, READ, ACCESS),
    ),
    known(
        "L1DataReadMiss",
        "node_perf_cache_l1d_read_misses_total",
        "Number L1 data cache read misses",
        cache(L1D, READ, MISS),
    ),
    known(
        "L1DataWriteHit",
        "node_perf_cache_l1d_write_hits_total",
        "Number L1 data cache write hits",
        cache(L1D, WRITE, ACCESS),
    ),
    known(
        "L1InstrReadMiss",
        "node_perf_cache_l1_instr_read_misses_total",
        "Number instruction L1 instruction read misses",
        cache(L1I, READ, MISS),
    ),
    known("LLReadHit", "node_perf_cache_ll_read_hits_total", "Number last level read hits", cache(LL, READ, ACCESS)),
    known("LLReadMiss", "node_perf_cache_ll_read_misses_total", "Number last level read misses", cache(LL, READ, MISS)),
    known(
        "LLWriteHit",
        "node_perf_cache_ll_write_hits_total",
        "Number last level write hits",
        cache(LL, WRITE, ACCESS),
    ),
    known(
        "LLWriteMiss",
        "node_perf_cache_ll_write_misses_total",
        "Number last level write misses",
        cache(LL, WRITE, MISS),
    ),
    known(
        "DataTLBReadHit",
        "node_perf_cache_tlb_data_read_hits_total",
        "Number of data TLB read hits",
        cache(DTLB, READ, ACCESS),
    ),
    known(
        "DataTLBReadMiss",
        "node_perf_cache_tlb_data_read_misses_total",
        "Number of data TLB read misses",
        cache(DTLB, READ, MISS),
    ),
    known(
        "DataTLBWriteHit",
        "node_perf_cache_tlb_data_write_hits_total",
        "Number of data TLB write hits",
        cache(DTLB, WRITE, ACCESS),
    ),
    known(
        "DataTLBWriteMiss",
        "node_perf_cache_tlb_data_write_misses_total",
        "Number of data TLB write misses",
        cache(DTLB, WRITE, MISS),
    ),
    known(
        "InstrTLBReadHit",
        "node_perf_cache_tlb_instr_read_hits_total",
        "Number instruction TLB read hits",
        cache(ITLB, READ, ACCESS),
    ),
    known(
        "InstrTLBReadMiss",
        "node_perf_cache_tlb_instr_read_misses_total",
        "Number instruction TLB read misses",
        cache(ITLB, READ, MISS),
    ),
    known("BPUReadHit", "node_perf_cache_bpu_read_hits_total", "Number BPU read hits", cache(BPU, READ, ACCESS)),
    known("BPUReadMiss", "node_perf_cache_bpu_read_misses_total", "Number BPU read misses", cache(BPU, READ, MISS)),
];
