#!/usr/bin/perl
# late.pl SECONDS COMMAND [ARGUMENT...]: runs COMMAND with a wall clock that is SECONDS late. Nothing else sees another time, and
# its monotonic clock stays true. Works on static binaries too, which no preloaded library reaches.
#
# Two steps. While COMMAND is being started, the pointer to the vDSO is taken out of its auxiliary vector, so that its C library
# asks the kernel for the time; and a seccomp filter hands each clock_gettime(CLOCK_REALTIME) to this process, which answers it
# (seccomp_unotify(2)). Exits with 77 where the kernel does not let it.
use strict;
use warnings;
no warnings 'portable';    # addresses have 64 bits
use Config;

my ($seconds, @command) = @ARGV;
die "usage: late.pl SECONDS COMMAND [ARGUMENT...]\n" unless @command && $seconds =~ /^\d+$/;

# Numbers of system calls, and the machine as seccomp knows it.
my %of = (
    x86_64  => {audit => 0xc000003e, clock_gettime => 228, prctl => 157, ptrace => 101, seccomp => 317, pidfd_open => 434, pidfd_getfd => 438},
    aarch64 => {audit => 0xc00000b7, clock_gettime => 113, prctl => 167, ptrace => 117, seccomp => 277, pidfd_open => 434, pidfd_getfd => 438},
);
my ($machine) = $Config{archname} =~ /^(x86_64|aarch64)-/ or impossible("not known on $Config{archname}");
my $call = $of{$machine};

use constant {
    CLOCK_REALTIME => 0, PR_SET_PDEATHSIG => 1, PR_SET_NO_NEW_PRIVS => 38, PTRACE_TRACEME => 0, PTRACE_DETACH => 17,
    AT_IGNORE => 1, AT_SYSINFO_EHDR => 33,
    SECCOMP_SET_MODE_FILTER => 1, SECCOMP_FILTER_FLAG_NEW_LISTENER => 8, SECCOMP_RET_ALLOW => 0x7fff0000, SECCOMP_RET_USER_NOTIF => 0x7fc00000,
    SECCOMP_IOCTL_NOTIF_RECV => 0xc0502100, SECCOMP_IOCTL_NOTIF_SEND => 0xc0182101, NOTIFICATION_BYTES => 80,
};

sub impossible {
    warn "late.pl: @_\n";
    exit 77;
}

pipe my $from_child, my $to_parent or die "pipe: $!\n";
pipe my $from_parent, my $to_child or die "pipe: $!\n";
defined(my $child = fork) or die "fork: $!\n";
if (!$child) {
    # Whatever becomes of the parent, nobody is left with a clock that nobody answers.
    syscall $call->{prctl}, PR_SET_PDEATHSIG, 9, 0, 0, 0;
    syscall $call->{prctl}, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0;
    my $listener = syscall $call->{seccomp}, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, filter();
    impossible("no seccomp notification: $!") if $listener < 0;
    syswrite $to_parent, "$listener\n";
    sysread $from_parent, my $go, 1 or exit 77;
    syscall($call->{ptrace}, PTRACE_TRACEME, 0, 0, 0) == 0 or impossible("no ptrace: $!");
    exec { $command[0] } @command or do { warn "late.pl: $command[0]: $!\n"; exit 127 };
}
close $to_parent;
close $from_parent;
$SIG{$_} = sub { kill shift, $child } for qw(TERM INT HUP);
$SIG{CHLD} = sub { };    # so that it ends the wait below

my $number = <$from_child>;
unless (defined $number) { waitpid $child, 0; exit 77 }
my $pidfd = syscall $call->{pidfd_open}, $child, 0;
my $descriptor = $pidfd < 0 ? -1 : syscall $call->{pidfd_getfd}, $pidfd, $number + 0, 0;
unless ($descriptor >= 0) { my $why = $!; kill 'KILL', $child; waitpid $child, 0; impossible("no pidfd_getfd: $why") }
open my $listener, '+<&=', $descriptor or die "descriptor $descriptor: $!\n";
syswrite $to_child, '.';

# Stopped at the first instruction of COMMAND.
waitpid $child, 0;
exit $? >> 8 unless (${^CHILD_ERROR_NATIVE} & 0xff) == 0x7f;
my $refused = eval { hide_vdso(); 1 } ? undef : $@;
if ($refused) { kill 'KILL', $child; waitpid $child, 0; impossible($refused) }
syscall $call->{ptrace}, PTRACE_DETACH, $child, 0, 0;

while (1) {
    my $ready = '';
    vec($ready, fileno $listener, 1) = 1;
    my $count = select $ready, undef, undef, 1;
    last if waitpid($child, 1) == $child;
    answer() if $count > 0;
}
exit($? & 127 ? 128 + ($? & 127) : $? >> 8);

# A sock_fprog. Allowed is all but clock_gettime of the wall clock on this machine's own ABI.
my @kept;
sub filter {
    my @lines = (
        [0x20, 0, 0, 4],                                # load the ABI
        [0x15, 0, 4, $call->{audit}],
        [0x20, 0, 0, 0],                                # load the number
        [0x15, 0, 2, $call->{clock_gettime}],
        [0x20, 0, 0, 16],                               # load the low half of the first argument
        [0x15, 1, 0, CLOCK_REALTIME],
        [0x06, 0, 0, SECCOMP_RET_ALLOW],
        [0x06, 0, 0, SECCOMP_RET_USER_NOTIF],
    );
    my $program = join '', map { pack 'SCCL', @$_ } @lines;
    @kept = ($program);
    return pack 'S x6 P' . length $program, scalar @lines, $program;
}

# The stack at the start: count, arguments, 0, environment, 0, pairs of the auxiliary vector up to AT_NULL.
sub hide_vdso {
    open my $state, '<', "/proc/$child/syscall" or die "/proc/$child/syscall: $!\n";
    my ($stack) = <$state> =~ /(0x[0-9a-f]+) 0x[0-9a-f]+\s*$/ or die "no stack pointer of a stopped process\n";
    open my $memory, '+<:raw', "/proc/$child/mem" or die "/proc/$child/mem: $!\n";
    my $at = hex $stack;
    my $word = sub {
        sysseek $memory, $at, 0;
        (sysread($memory, my $bytes, 8) // 0) == 8 or die "the stack cannot be read: $!\n";
        $at += 8;
        return unpack 'Q', $bytes;
    };
    $at += 8 * ($word->() + 1);
    1 while $word->();
    while (my $type = $word->()) {
        if ($type == AT_SYSINFO_EHDR) {
            sysseek $memory, $at - 8, 0;
            (syswrite($memory, pack 'Q', AT_IGNORE) // 0) == 8 or die "the stack cannot be written: $!\n";
            return;
        }
        $word->();
    }
}

# struct seccomp_notif: id, pid, flags, then number, ABI, instruction pointer and six arguments of the call.
sub answer {
    my $notification = "\0" x NOTIFICATION_BYTES;
    ioctl $listener, SECCOMP_IOCTL_NOTIF_RECV, $notification or return;
    my ($id, $pid) = unpack 'QL', $notification;
    my $address = unpack 'x40 Q', $notification;
    my $time = "\0" x 16;
    syscall $call->{clock_gettime}, CLOCK_REALTIME, $time;
    my ($whole, $nano) = unpack 'qq', $time;
    my $error = -14;    # EFAULT
    if (open my $memory, '+<:raw', "/proc/$pid/mem") {
        sysseek $memory, $address, 0;
        $error = 0 if (syswrite($memory, pack 'qq', $whole - $seconds, $nano) // 0) == 16;
    }
    ioctl $listener, SECCOMP_IOCTL_NOTIF_SEND, pack 'Qqll', $id, 0, $error, 0;
}
