# SPDX-License-Identifier: Apache-2.0
# `help` is asked about as any command is, with global options too.
organ help help | tee text
for words in 'help --help' 'help -h' '--json help help' 'help --json help' 'help help install'; do
  organ $words | cmp - text || echo "organ $words says something else"
done
