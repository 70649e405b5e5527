#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# build.sh KERNEL STAGE OUTPUT SOURCE...: builds the module against the kernel tree KERNEL in the
# directory STAGE, which is made anew, and leaves it at OUTPUT. The source tree stays clean. Used by
# meson.build; what is meant for programs in the environment is not to decide what is in the module.
set -eu

kernel=$1
stage=$2
output=$3
shift 3

rm -rf "$stage"
mkdir -p "$stage"
cp "$@" "$stage"
stage=$(cd "$stage" && pwd)
env -u CFLAGS -u CPPFLAGS -u LDFLAGS -u MAKEFLAGS -u MAKELEVEL \
	make -C "$kernel" M="$stage" -j "$(nproc)" modules
cp "$stage/${output##*/}" "$output"
