# The fake's objects: the XML API of Cloud Storage as its reference describes it, and nothing that the reference does not have.
# An object is a file of one line of JSON and the bytes; its name is the key with percent signs.
package PgArk::FakeGoogle::Objects;
use strict;
use warnings;
use Digest::MD5 qw(md5);
use JSON::PP ();
use MIME::Base64 qw(encode_base64 encode_base64url decode_base64url);
use POSIX ();
use Time::HiRes ();
use PgArk::FakeGoogle::Access;
use PgArk::FakeGoogle::Crc32c qw(crc32c);

my $LEAST_PART = 5 << 20;
my %COMMON  = map { $_ => 1 } qw(host connection authorization content-length content-type date user-agent accept accept-encoding
  x-goog-date x-goog-content-sha256 x-goog-user-project);
my @OBJECT = qw(x-goog-storage-class x-goog-encryption-kms-key-name x-goog-meta-pg-ark-token);
my @SUMS   = qw(content-md5 x-goog-hash);

sub error { return PgArk::FakeGoogle::xml_error(@_) }
sub xml { my ($root, $inside) = @_; return { status => 200, headers => [ [ 'Content-Type', 'application/xml; charset=UTF-8' ] ],
    body => "<?xml version='1.0' encoding='UTF-8'?><$root xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>$inside</$root>" } }
sub escaped { my ($text) = @_; $text =~ s/&/&amp;/g; $text =~ s/</&lt;/g; return $text }
sub file_name { my ($key) = @_; $key =~ s/([^A-Za-z0-9_-])/sprintf '%%%02X', ord $1/ge; return $key }
sub iso { my ($time) = @_; return POSIX::strftime('%Y-%m-%dT%H:%M:%S', gmtime int $time) . sprintf '.%03dZ', ($time - int $time) * 1000 }

sub answer {
    my ($fake, $request) = @_;
    my $refusal = PgArk::FakeGoogle::Access::refusal($fake, $request);
    return $refusal if $refusal;
    my ($bucket, $key) = $request->{path} =~ m{\A/([a-z0-9][a-z0-9._-]+)/(.*)\z}s or return error(400, 'InvalidURI', 'Couldn\'t parse the specified URI.');
    my $place = "$fake->{directory}/buckets/$bucket";
    return error(404, 'NoSuchBucket', 'The specified bucket does not exist.') unless -d $place;
    return error(400, 'UserProjectMissing', 'Bucket is a requester pays bucket but no user project provided.')
      if $bucket eq 'payer' && ($request->{headers}{'x-goog-user-project'} // '') eq '';
    my %query;
    for (@{ $request->{query} }) { return error(400, 'InvalidArgument', "Parameter $_->[0] twice.") if exists $query{ $_->[0] }; $query{ $_->[0] } = $_->[1] }

    my $what = $request->{method} . ($key eq '' ? ' bucket' : '') . join '', map { exists $query{$_} ? " $_" : '' } qw(uploads uploadId partNumber list-type);
    my %known = (
        'GET bucket list-type'    => [ \&list,         [qw(list-type prefix delimiter continuation-token)] ],
        'GET bucket uploads'      => [ \&list_uploads, [qw(uploads prefix key-marker upload-id-marker)] ],
        'PUT'                     => [ \&put,          [], @OBJECT, @SUMS, 'x-goog-if-generation-match' ],
        'GET'                     => [ \&get,          [], 'range' ],
        'HEAD'                    => [ \&get,          [] ],
        'DELETE'                  => [ \&remove,       [] ],
        'POST uploads'            => [ \&begin,        ['uploads'], @OBJECT ],
        'PUT uploadId partNumber' => [ \&put_part,     [qw(uploadId partNumber)], @SUMS ],
        'POST uploadId'           => [ \&finish,       ['uploadId'], 'content-md5' ],
        'DELETE uploadId'         => [ \&abort_upload, ['uploadId'] ],
    );
    my ($do, $parameters, @headers) = @{ $known{$what} // return error(400, 'InvalidArgument', "There is no such request: $what.") };
    for my $name (keys %query) { return error(400, 'InvalidArgument', "There is no parameter $name here.") unless grep { $_ eq $name } @$parameters }
    for my $name (keys %{ $request->{headers} }) { return error(400, 'InvalidArgument', "There is no header $name here.") unless $COMMON{$name} || grep { $_ eq $name } @headers }
    return error(400, 'InvalidArgument', 'This request has no body.') if length $request->{body} && $request->{method} !~ /^P/;
    return $do->($place, $key, $request, \%query);
}

# ---- objects

sub sums { my ($content) = @_; return (encode_base64(pack('N', crc32c($content)), ''), encode_base64(md5($content), '')) }

sub wrong_sum {
    my ($request, $crc, $md5) = @_;
    my ($claimed, $hash) = map { $request->{headers}{$_} } qw(content-md5 x-goog-hash);
    return error(400, 'BadDigest', "The Content-MD5 you specified did not match what we received.") if defined $claimed && $claimed ne $md5;
    for (split /,/, $hash // '') {
        my ($kind, $sum) = split /=/, $_, 2;
        return error(400, 'InvalidArgument', 'x-goog-hash is malformed.') unless $kind =~ /\A(?:crc32c|md5)\z/;
        return error(400, 'BadDigest', 'The x-goog-hash you specified did not match what we received.') if $sum ne ($kind eq 'md5' ? $md5 : $crc);
    }
    return error(400, 'InvalidArgument', 'The fake wants a checksum of every upload.') unless defined $claimed || defined $hash;
    return;
}

sub attributes {
    my ($request) = @_;
    my $class = $request->{headers}{'x-goog-storage-class'} // 'STANDARD';
    return { class => $class, token => $request->{headers}{'x-goog-meta-pg-ark-token'}, kms => $request->{headers}{'x-goog-encryption-kms-key-name'},
        generation => sprintf('%d', Time::HiRes::time() * 1e6) };
}

sub bad_attributes {
    my ($request) = @_;
    my ($class, $kms) = map { $request->{headers}{$_} } qw(x-goog-storage-class x-goog-encryption-kms-key-name);
    return error(400, 'InvalidStorageClass', 'The storage class is not valid.') if defined $class && $class !~ /\A(?:STANDARD|NEARLINE|COLDLINE|ARCHIVE)\z/;
    return error(400, 'CloudKmsBadKey', 'Bad Cloud KMS key.') if defined $kms && $kms !~ m{\Aprojects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+\z};
    return;
}

sub tag { my ($object) = @_; return [ 'ETag', defined $object->{md5} ? '"' . unpack('H*', MIME::Base64::decode_base64($object->{md5})) . '"' : "\"-$object->{generation}\"" ] }
sub hashes { my ($object) = @_; return ([ 'x-goog-hash', "crc32c=$object->{crc}" ], defined $object->{md5} ? [ 'x-goog-hash', "md5=$object->{md5}" ] : ()) }

sub put {
    my ($place, $key, $request) = @_;
    my $refusal = bad_attributes($request);
    return $refusal if $refusal;
    my ($crc, $md5) = sums($request->{body});
    my $wrong = wrong_sum($request, $crc, $md5);
    return $wrong if $wrong;
    my $condition = $request->{headers}{'x-goog-if-generation-match'};
    return error(400, 'InvalidArgument', 'The fake knows no generation but 0.') if defined $condition && $condition ne '0';
    my $object = { %{ attributes($request) }, size => length $request->{body}, crc => $crc, md5 => $md5 };
    PgArk::FakeGoogle::write_file("$place/" . file_name($key), defined $condition, JSON::PP::encode_json($object), "\n", $request->{body})
      or return error(412, 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold.');
    return { status => 200, headers => [ tag($object), [ 'x-goog-generation', $object->{generation} ], hashes($object) ] };
}

sub get {
    my ($place, $key, $request) = @_;
    open my $file, '<:raw', "$place/" . file_name($key) or return error(404, 'NoSuchKey', 'The specified key does not exist.');
    my $line   = <$file>;
    my $object = JSON::PP::decode_json($line);
    my ($first, $last) = (0, $object->{size} - 1);
    my $range = $request->{headers}{range};
    if (defined $range) {
        $range =~ /\Abytes=(\d+)-(\d+)\z/ or return error(400, 'InvalidArgument', 'The range is malformed.');
        ($first, $last) = ($1, $2 < $last ? $2 : $last);
        return error(416, 'InvalidRange', 'The requested range cannot be satisfied.') if $first > $last;
    }
    seek $file, length($line) + $first, 0;
    my $length = $last - $first + 1;
    my $body = '';
    read $file, $body, $length if $request->{method} eq 'GET';
    my @headers = (tag($object), hashes($object), [ 'Last-Modified', PgArk::FakeGoogle::http_date((stat $file)[9]) ], [ 'Content-Type', 'application/octet-stream' ],
        [ 'x-goog-generation', $object->{generation} ], [ 'x-goog-storage-class', $object->{class} ], [ 'x-goog-stored-content-length', $object->{size} ]);
    push @headers, [ 'x-goog-meta-pg-ark-token', $object->{token} ] if defined $object->{token};
    push @headers, [ 'Content-Range', "bytes $first-$last/$object->{size}" ] if defined $range;
    return { status => defined $range ? 206 : 200, headers => \@headers, body => $body, length => $length };
}

sub remove {
    my ($place, $key) = @_;
    return { status => 204 } if unlink "$place/" . file_name($key);
    return error(404, 'NoSuchKey', 'The specified key does not exist.');
}

sub page_size { my ($place) = @_; return 0 + (PgArk::FakeGoogle::slurp("$place/../../page_size") // 20) }

sub list {
    my ($place, $key, $request, $query) = @_;
    return error(400, 'InvalidArgument', 'list-type is 2.') unless $query->{'list-type'} eq '2';
    my ($prefix, $delimiter, $from) = ($query->{prefix} // '', $query->{delimiter}, $query->{'continuation-token'});
    return error(400, 'InvalidArgument', 'The fake knows one delimiter.') if defined $delimiter && $delimiter ne '/';
    my $after = '';
    if (defined $from) {
        $after = decode_base64url($from);
        $after =~ s/\Aafter:// or return error(400, 'InvalidArgument', 'The continuation token is none of ours.');
    }
    opendir my $directory, $place or die "$place: $!";
    my @keys = sort grep { index($_, $prefix) == 0 } map { PgArk::FakeGoogle::decoded($_) } grep { !/^\./ } readdir $directory;
    my ($inside, $count, $last, $next) = ('', 0, '', '');
    for my $name (@keys) {
        my $directory_end = defined $delimiter ? index($name, '/', length $prefix) : -1;
        my $item = $directory_end < 0 ? $name : substr $name, 0, $directory_end + 1;
        next if $item le $after || $item eq $last;
        if ($count == page_size($place)) { $next = encode_base64url("after:$last"); last }
        ++$count;
        $last = $item;
        if ($directory_end >= 0) { $inside .= '<CommonPrefixes><Prefix>' . escaped($item) . '</Prefix></CommonPrefixes>'; next }
        open my $file, '<:raw', "$place/" . file_name($name) or next;
        my $object = JSON::PP::decode_json(scalar <$file>);
        $inside .= '<Contents><Key>' . escaped($name) . "</Key><Generation>$object->{generation}</Generation><LastModified>" . iso((stat $file)[9])
          . "</LastModified><ETag>x</ETag><Size>$object->{size}</Size></Contents>";
    }
    $inside .= "<IsTruncated>" . ($next ne '' ? 'true' : 'false') . '</IsTruncated>' . "<KeyCount>$count</KeyCount>";
    $inside .= "<NextContinuationToken>$next</NextContinuationToken>" if $next ne '';
    return xml('ListBucketResult', $inside);
}

# ---- uploads in parts

sub uploads_of { my ($place) = @_; return "$place/.uploads" }

sub open_upload {
    my ($place, $key, $query) = @_;
    return unless $query->{uploadId} =~ /\A[0-9a-f]+\z/;
    my $directory = uploads_of($place) . "/$query->{uploadId}";
    my $upload = PgArk::FakeGoogle::slurp("$directory/upload") // return;
    $upload = JSON::PP::decode_json($upload);
    return $upload->{key} eq $key ? ($directory, $upload) : ();
}
sub no_upload { return error(404, 'NoSuchUpload', 'The requested upload was not found.') }

sub begin {
    my ($place, $key, $request) = @_;
    my $refusal = bad_attributes($request);
    return $refusal if $refusal;
    my $id = sprintf '%x%x%x', Time::HiRes::time() * 1e6, $$, rand 1 << 30;
    mkdir uploads_of($place);
    mkdir uploads_of($place) . "/$id" or die $!;
    PgArk::FakeGoogle::write_file(uploads_of($place) . "/$id/upload", 0, JSON::PP::encode_json({ %{ attributes($request) }, key => $key, begun => Time::HiRes::time() }));
    return xml('InitiateMultipartUploadResult', '<Key>' . escaped($key) . "</Key><UploadId>$id</UploadId>");
}

sub put_part {
    my ($place, $key, $request, $query) = @_;
    my ($directory) = open_upload($place, $key, $query) or return no_upload();
    return error(400, 'InvalidArgument', 'Part numbers are 1 to 10000.') unless $query->{partNumber} =~ /\A[1-9]\d{0,4}\z/ && $query->{partNumber} <= 10000;
    my ($crc, $md5) = sums($request->{body});
    my $wrong = wrong_sum($request, $crc, $md5);
    return $wrong if $wrong;
    PgArk::FakeGoogle::write_file("$directory/$query->{partNumber}", 0, $md5, "\n", $request->{body});
    my $part = { md5 => $md5, crc => $crc };
    return { status => 200, headers => [ tag($part), hashes($part) ] };
}

# What is there is replaced: Google knows no precondition here.
sub finish {
    my ($place, $key, $request, $query) = @_;
    my ($directory, $upload) = open_upload($place, $key, $query) or return no_upload();
    my @parts;
    while ($request->{body} =~ m{<Part><PartNumber>(\d+)</PartNumber><ETag>(?:"|&quot;)([0-9a-f]{32})(?:"|&quot;)</ETag></Part>}g) { push @parts, [ $1, $2 ] }
    my $claimed = () = $request->{body} =~ /<Part>/g;
    return error(400, 'MalformedCompleteMultipartUploadRequest', 'The document is not valid.') unless @parts && $claimed == @parts;
    my $content = '';
    for my $i (0 .. $#parts) {
        my ($number, $tag) = @{ $parts[$i] };
        return error(400, 'InvalidPartOrder', 'The list of parts was not in ascending order.') if $i && $number <= $parts[ $i - 1 ][0];
        my $part = PgArk::FakeGoogle::slurp("$directory/$number") // return error(400, 'InvalidPart', "Part $number was not uploaded.");
        my ($md5, $bytes) = split /\n/, $part, 2;
        return error(400, 'InvalidPart', "Part $number has another ETag.") unless unpack('H*', MIME::Base64::decode_base64($md5)) eq $tag;
        return error(400, 'EntityTooSmall', 'Your proposed upload is smaller than the minimum object size.') if $i < $#parts && length $bytes < $LEAST_PART;
        $content .= $bytes;
    }
    rename $directory, "$directory-ended" or return no_upload();
    my ($crc) = sums($content);
    my $object = { %$upload, size => length $content, crc => $crc, generation => sprintf('%d', Time::HiRes::time() * 1e6) };
    PgArk::FakeGoogle::write_file("$place/" . file_name($key), 0, JSON::PP::encode_json($object), "\n", $content);
    unlink glob "$directory-ended/*";
    rmdir "$directory-ended";
    return xml('CompleteMultipartUploadResult', '<Key>' . escaped($key) . '</Key><ETag>' . tag($object)->[1] . '</ETag>');
}

sub abort_upload {
    my ($place, $key, $request, $query) = @_;
    my ($directory) = open_upload($place, $key, $query) or return no_upload();
    rename $directory, "$directory-ended" or return no_upload();
    unlink glob "$directory-ended/*";
    rmdir "$directory-ended";
    return { status => 204 };
}

sub list_uploads {
    my ($place, $key, $request, $query) = @_;
    my ($prefix, $after, $after_id) = map { $query->{$_} // '' } qw(prefix key-marker upload-id-marker);
    my @uploads;
    for my $directory (grep { !/-ended$/ } glob uploads_of($place) . '/*') {
        my $upload = PgArk::FakeGoogle::slurp("$directory/upload") // next;
        $upload = JSON::PP::decode_json($upload);
        my ($id) = $directory =~ m{([^/]+)\z};
        push @uploads, [ $upload->{key}, $id, $upload->{begun} ] if index($upload->{key}, $prefix) == 0;
    }
    @uploads = grep { $_->[0] gt $after || ($_->[0] eq $after && $_->[1] gt $after_id) } sort { $a->[0] cmp $b->[0] || $a->[1] cmp $b->[1] } @uploads;
    my $more = @uploads > page_size($place);
    splice @uploads, page_size($place) if $more;
    my $inside = join '', map { '<Upload><Key>' . escaped($_->[0]) . "</Key><UploadId>$_->[1]</UploadId><Initiated>" . iso($_->[2]) . '</Initiated></Upload>' } @uploads;
    $inside .= '<IsTruncated>' . ($more ? 'true' : 'false') . '</IsTruncated>';
    $inside .= '<NextKeyMarker>' . escaped($uploads[-1][0]) . "</NextKeyMarker><NextUploadIdMarker>$uploads[-1][1]</NextUploadIdMarker>" if $more;
    return xml('ListMultipartUploadsResult', $inside);
}

1;
