#!/usr/bin/env perl
# A function in Perl that speaks the line protocol itself.
use strict;
use warnings;
use JSON::PP;

$| = 1;
my $json = JSON::PP->new->utf8->canonical;
while (my $line = <STDIN>) {
  my $call = $json->decode($line);
  my $name = $call->{payload} && $call->{payload}{name};
  my $answer = {error => {category => 'InputError', type => 'NoName', message => 'name is missing'}};
  if ($name) {
    print STDERR "greeting $name\n";
    $answer = {payload => {hello => $name, from => 'perl'}};
  }
  $answer->{executionId} = $call->{context}{executionId};
  print $json->encode($answer), "\n";
}
