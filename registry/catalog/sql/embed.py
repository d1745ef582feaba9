# SPDX-License-Identifier: Apache-2.0
"""Writes numbered migrations as one C++ source: embed.py OUTPUT 0001_x.sql 0002_y.sql …"""
import pathlib
import sys

output, *migrations = map(pathlib.Path, sys.argv[1:])
lines = ['// Made by registry/catalog/sql/embed.py.', '#include "registry/catalog/internal/migrations.h"', '',
         'namespace organ::registry {', '', 'const std::vector<std::string_view> kMigrations = {']
for number, path in enumerate(sorted(migrations), 1):
    if int(path.name[:4]) != number:
        sys.exit(f'{path.name}: expected the number {number:04}')
    lines.append(f'    R"sql({path.read_text(encoding="utf-8")})sql",')
lines += ['};', '', '}  // namespace organ::registry', '']
output.write_text('\n'.join(lines), encoding="utf-8")
