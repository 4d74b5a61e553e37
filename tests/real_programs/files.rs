//! The file server that sends by `sendfile`, with curl asking for all of a file, for parts, and for
//! the rest of it.

use std::fs;
use std::ops::Range;

use ramie::fs::File;
use ramie::net::TcpListener;
use ramie::spawn;

use crate::programs::{curl, with};
use crate::sendfile::unix::serve;
use crate::util::folder::Folder;

const LENGTH: usize = 10_000_019;

#[test]
fn curl_takes_files_whole_and_in_parts() {
    with(&["curl"], |programs| {
        let folder = Folder::new();
        let contents = (0..LENGTH).map(|at| ((at / 251) ^ at) as u8).collect::<Vec<_>>();
        fs::write(folder.join("served"), &contents).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let file = File::open(folder.join("served")).unwrap();
        spawn(move || serve(&listener, file));

        assert!(programs.run(curl().arg(&url)).bytes() == contents);
        let head = programs.run(curl().args(["--head", &url])).text();
        assert!(
            head.contains(&format!("Content-Length: {LENGTH}\r\n")) && head.ends_with("\r\n\r\n"),
            "{head}"
        );
        let parts: [(&str, Range<usize>); 5] = [
            ("0-0", 0..1),
            ("100-199", 100..200),
            ("9000000-", 9_000_000..LENGTH),
            ("-50", LENGTH - 50..LENGTH),
            ("5000000-99999999", 5_000_000..LENGTH),
        ];
        for (range, part) in parts {
            let said = programs.run(curl().args(["--fail", "--range", range, &url]));
            assert!(said.bytes() == contents[part], "{range}");
        }
        let status = |arguments: &[&str]| {
            let mut asking = curl();
            asking.args(["--output", "/dev/null", "--write-out", "%{http_code}"]).args(arguments);
            programs.run(asking.arg(&url)).text()
        };
        assert_eq!(status(&["--range", "5-6"]), "206");
        assert_eq!(status(&["--range", "99999999-"]), "416");
        assert_eq!(status(&["--request", "DELETE"]), "405");

        // What has been broken off is taken up again where it was.
        let half = folder.join("half");
        fs::write(&half, &contents[..LENGTH / 3]).unwrap();
        programs.run(curl().args(["--continue-at", "-", "--output"]).arg(&half).arg(&url)).text();
        assert!(fs::read(&half).unwrap() == contents);

        // Many at once, each to the end.
        let names = folder.join("#1");
        let mut parallel = curl();
        parallel.args(["--parallel", "--parallel-immediate", "--parallel-max", "20", "--output"]).arg(names);
        programs.run(parallel.arg(url.clone() + "[1-20]")).text();
        for number in 1..=20 {
            assert!(fs::read(folder.join(number.to_string())).unwrap() == contents, "{number}");
        }
        // A client that leaves in the middle takes nothing from others.
        let said = programs.run(curl().args(["--max-filesize", "1000", &url]));
        assert!(!said.status.success());
        assert!(programs.run(curl().arg(&url)).bytes() == contents);
    });
}
