//! `ramie::fs`: what std's own tests promise of files, restated; and what becomes of files when
//! greenlets end.

use std::cell::{Cell, RefCell};
use std::fs as std_fs;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, SystemTime};

use ramie::fs::{self, DirBuilder, File, OpenOptions};
use ramie::hub::BlockingSwitchOutError;
use ramie::{GreenletExit, catch, get_hub, spawn, yield_now};

use crate::util::folder::Folder;
use crate::util::footprint::{descriptors, settled};
use crate::util::sleepers::parked;
use crate::util::{assert_send, within};

const LIMIT: Duration = Duration::from_secs(60);

fn text(path: &Path) -> String {
    std_fs::read_to_string(path).unwrap()
}

#[track_caller]
fn fails<T: std::fmt::Debug>(result: std::io::Result<T>, kind: ErrorKind) {
    assert_eq!(result.unwrap_err().kind(), kind);
}

#[test]
fn a_file_goes_to_other_threads() {
    assert_send::<File>();
    assert_send::<&File>();
    assert_send::<fs::ReadDir>();
    within(LIMIT, || {
        let folder = Folder::new();
        let file = File::create_new(folder.join("file")).unwrap();
        let shared = file.try_clone().unwrap();
        thread::spawn(move || (&shared).write_all(b"from there").unwrap()).join().unwrap();
        (&file).write_all(b", from here").unwrap();
        assert_eq!(text(&folder.join("file")), "from there, from here");
    });
}

#[test]
fn writes_and_reads_back() {
    within(LIMIT, || {
        let folder = Folder::new();
        let path = folder.join("file");
        fails(File::open(&path), ErrorKind::NotFound);
        let mut file = File::create(&path).unwrap();
        file.write_all(b"it's alright. have a good time").unwrap();
        file.flush().unwrap();
        drop(file);
        let mut file = File::open(&path).unwrap();
        let mut bytes = [0; 1028];
        assert_eq!(file.read(&mut bytes).unwrap(), 30);
        assert_eq!(&bytes[..30], b"it's alright. have a good time");
        assert_eq!(file.read(&mut bytes).unwrap(), 0);
        // It was not opened for that.
        assert!(file.write(b"x").is_err());
        fs::remove_file(&path).unwrap();
        fails(fs::remove_file(&path), ErrorKind::NotFound);
    });
}

#[test]
fn every_way_to_read_and_write_is_std_s() {
    within(LIMIT, || {
        let folder = Folder::new();
        let path = folder.join("file");
        let mut file = File::create_new(&path).unwrap();
        let pieces = [IoSlice::new(b"01"), IoSlice::new(b"23"), IoSlice::new(b"45")];
        let written = file.write_vectored(&pieces).unwrap();
        file.write_all(&b"012345"[written..]).unwrap();
        writeln!(&file, "{}{:?}yz", 67, 'x').unwrap();
        file.write_fmt(format_args!("plain")).unwrap();
        file.rewind().unwrap();
        let (mut one, mut two) = ([0; 1], [0; 2]);
        let read = file.read_vectored(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)]).unwrap();
        assert_eq!((read, one, two), (3, *b"0", *b"12"));
        let mut exact = [0; 5];
        file.read_exact(&mut exact).unwrap();
        assert_eq!(&exact, b"34567");
        let mut line = String::new();
        BufReader::new(&file).read_line(&mut line).unwrap();
        assert_eq!(line, "'x'yz\n");
        file.seek(SeekFrom::End(-5)).unwrap();
        let mut rest = b"really ".to_vec();
        assert_eq!(file.read_to_end(&mut rest).unwrap(), 5);
        assert_eq!(rest, b"really plain");
        fails(file.read_exact(&mut exact), ErrorKind::UnexpectedEof);
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut whole = String::from("> ");
        assert_eq!((&file).read_to_string(&mut whole).unwrap(), 19);
        assert_eq!(whole, "> 01234567'x'yz\nplain");
        file.write_all(&[0xff]).unwrap();
        file.seek(SeekFrom::End(-1)).unwrap();
        fails(file.read_to_string(&mut whole), ErrorKind::InvalidData);
    });
}

#[test]
fn seeks_as_std_does() {
    within(LIMIT, || {
        let folder = Folder::new();
        let mut file = File::create_new(folder.join("file")).unwrap();
        file.write_all(b"foobarbazbar").unwrap();
        assert_eq!(file.stream_position().unwrap(), 12);
        assert_eq!(file.seek(SeekFrom::Start(3)).unwrap(), 3);
        file.write_all(b"BAR").unwrap();
        assert_eq!(file.seek(SeekFrom::Current(-3)).unwrap(), 3);
        let mut three = [0; 3];
        file.read_exact(&mut three).unwrap();
        assert_eq!(&three, b"BAR");
        assert_eq!(file.seek(SeekFrom::End(-3)).unwrap(), 9);
        file.read_exact(&mut three).unwrap();
        assert_eq!(&three, b"bar");
        fails(file.seek(SeekFrom::Current(-100)), ErrorKind::InvalidInput);
        fails(file.seek(SeekFrom::End(-100)), ErrorKind::InvalidInput);
        assert_eq!(file.stream_position().unwrap(), 12);
        // Past the end, where a write leaves zeros behind.
        assert_eq!(file.seek(SeekFrom::End(2)).unwrap(), 14);
        file.write_all(b"!").unwrap();
        assert_eq!(std_fs::read(folder.join("file")).unwrap(), b"fooBARbazbar\0\0!");
    });
}

#[test]
fn options_mean_what_they_mean_to_std() {
    within(LIMIT, || {
        let folder = Folder::new();
        let path = folder.join("file");
        let options = || File::options();
        fails(options().write(true).open(&path), ErrorKind::NotFound);
        for contradiction in [
            options(),
            options().write(true).append(true).truncate(true).clone(),
            options().read(true).truncate(true).clone(),
            options().read(true).create(true).clone(),
            options().read(true).create_new(true).clone(),
        ] {
            fails(contradiction.open(&path), ErrorKind::InvalidInput);
        }
        options().write(true).create(true).open(&path).unwrap().write_all(b"foobar").unwrap();
        fails(options().write(true).create_new(true).open(&path), ErrorKind::AlreadyExists);
        fails(File::create_new(&path), ErrorKind::AlreadyExists);
        // Neither truncated nor appended to.
        options().write(true).create(true).open(&path).unwrap().write_all(b"FOO").unwrap();
        assert_eq!(text(&path), "FOObar");
        let mut appending = options().read(true).append(true).open(&path).unwrap();
        appending.rewind().unwrap();
        appending.write_all(b"baz").unwrap();
        assert_eq!(text(&path), "FOObarbaz");
        options().write(true).truncate(true).open(&path).unwrap();
        assert_eq!(text(&path), "");
        let std_s = std_fs::OpenOptions::new().append(true).clone();
        writeln!(OpenOptions::from(std_s).open(&path).unwrap(), "{}", 1).unwrap();
        assert_eq!(text(&path), "1\n");
    });
}

#[test]
fn a_file_is_cut_extended_and_synchronised() {
    within(LIMIT, || {
        let folder = Folder::new();
        let path = folder.join("file");
        let mut file = File::create_new(&path).unwrap();
        file.write_all(b"0123456789").unwrap();
        file.set_len(5).unwrap();
        file.sync_all().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 5);
        // The position is where it was.
        file.write_all(b"x").unwrap();
        file.sync_data().unwrap();
        assert_eq!(std_fs::read(&path).unwrap(), b"01234\0\0\0\0\0x");
        fails(File::open(&path).unwrap().set_len(1), ErrorKind::InvalidInput);
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        file.set_modified(long_ago).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), long_ago);
        file.set_times(fs::FileTimes::new().set_accessed(long_ago)).unwrap();
        assert_eq!(file.metadata().unwrap().accessed().unwrap(), long_ago);
    });
}

#[test]
fn clones_share_position_and_descriptor() {
    within(LIMIT, || {
        let folder = Folder::new();
        let path = folder.join("file");
        std_fs::write(&path, "abcdef").unwrap();
        let mut file = File::open(&path).unwrap();
        let mut clone = file.try_clone().unwrap();
        let mut two = [0; 2];
        file.read_exact(&mut two).unwrap();
        clone.read_exact(&mut two).unwrap();
        assert_eq!(&two, b"cd");
        // A file that is shared is duplicated for std, and one that is not is the very same.
        let mut duplicate = clone.into_std().unwrap();
        duplicate.read_exact(&mut two).unwrap();
        assert_eq!(&two, b"ef");
        drop(duplicate);
        file.rewind().unwrap();
        let mut own = std_fs::File::try_from(file).unwrap();
        own.read_exact(&mut two).unwrap();
        assert_eq!(&two, b"ab");
        let mut back = File::from(own);
        assert_eq!(back.read(&mut [0; 10]).unwrap(), 4);
    });
}

#[test]
fn whole_files_at_once() {
    within(LIMIT, || {
        let folder = Folder::new();
        let (one, two) = (folder.join("one"), folder.join("two"));
        fails(fs::read(&one), ErrorKind::NotFound);
        fs::write(&one, "some text").unwrap();
        assert_eq!(fs::read(&one).unwrap(), b"some text");
        fs::write(&one, [0xff_u8, 0xfe]).unwrap();
        fails(fs::read_to_string(&one), ErrorKind::InvalidData);
        fs::write(&one, "ümlaut").unwrap();
        assert_eq!(fs::read_to_string(&one).unwrap(), "ümlaut");
        assert_eq!(fs::copy(&one, &two).unwrap(), 7);
        assert_eq!(text(&two), "ümlaut");
        fails(fs::copy(folder.join("none"), &two), ErrorKind::NotFound);
        assert_eq!(text(&two), "ümlaut");
        fs::hard_link(&one, folder.join("three")).unwrap();
        fails(fs::hard_link(&one, &two), ErrorKind::AlreadyExists);
        fs::rename(&two, &one).unwrap();
        assert!(fs::exists(&one).unwrap() && !fs::exists(&two).unwrap());
        fails(fs::rename(&two, &one), ErrorKind::NotFound);
        assert_eq!(text(&folder.join("three")), "ümlaut");
    });
}

#[test]
fn folders_are_made_listed_and_removed() {
    within(LIMIT, || {
        let folder = Folder::new();
        fails(fs::create_dir(folder.join("a/b")), ErrorKind::NotFound);
        fs::create_dir(folder.join("a")).unwrap();
        fails(fs::create_dir(folder.join("a")), ErrorKind::AlreadyExists);
        fs::create_dir_all(folder.join("a/b/c")).unwrap();
        fs::create_dir_all(folder.join("a/b/c")).unwrap();
        fails(DirBuilder::new().create(folder.join("a/b")), ErrorKind::AlreadyExists);
        DirBuilder::new().recursive(true).create(folder.join("a/b/d/e")).unwrap();
        fails(fs::remove_dir(folder.join("a")), ErrorKind::DirectoryNotEmpty);
        fs::remove_dir(folder.join("a/b/c")).unwrap();
        std_fs::write(folder.join("a/file"), "").unwrap();
        fails(fs::create_dir_all(folder.join("a/file/b")), ErrorKind::NotADirectory);
        fails(fs::read_dir(folder.join("a/file")), ErrorKind::NotADirectory);
        fails(fs::read_dir(folder.join("none")), ErrorKind::NotFound);
        assert!(fs::remove_file(folder.join("a/b")).is_err());
        let mut entries = fs::read_dir(folder.join("a")).unwrap().map(Result::unwrap).collect::<Vec<_>>();
        entries.sort_by_key(fs::DirEntry::file_name);
        let kinds = entries.iter().map(|entry| {
            let kind = entry.file_type().unwrap();
            assert_eq!(entry.metadata().unwrap().file_type(), kind);
            (entry.path(), kind.is_dir())
        });
        let expected = [(folder.join("a/b"), true), (folder.join("a/file"), false)];
        assert_eq!(kinds.collect::<Vec<_>>(), expected);
        fs::remove_dir_all(folder.join("a")).unwrap();
        assert!(!fs::exists(folder.join("a")).unwrap());
        assert_eq!(fs::read_dir(&*folder).unwrap().count(), 0);
        let canonical = fs::canonicalize(folder.join("../").join(folder.file_name().unwrap())).unwrap();
        assert_eq!(canonical, std_fs::canonicalize(&*folder).unwrap());
    });
}

/// One less than a batch, a batch, one more, and several.
#[test]
fn a_folder_of_any_size_is_listed_once() {
    within(LIMIT, || {
        let folder = Folder::new();
        let mut made = 0;
        for count in [63, 64, 65, 128, 200] {
            for number in made..count {
                std_fs::write(folder.join(number.to_string()), "").unwrap();
            }
            made = count;
            let mut entries = fs::read_dir(&*folder).unwrap();
            let names = entries.by_ref().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut numbers = names.map(|name| name.parse::<u32>().unwrap()).collect::<Vec<_>>();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..count).collect::<Vec<_>>());
            assert!(entries.next().is_none() && entries.next().is_none());
        }
    });
}

#[test]
fn permissions_are_set_and_asked() {
    within(LIMIT, || {
        let folder = Folder::new();
        let path = folder.join("file");
        let file = File::create(&path).unwrap();
        let mut permissions = file.metadata().unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions.clone()).unwrap();
        assert!(fs::metadata(&path).unwrap().permissions().readonly());
        fails(fs::set_permissions(folder.join("none"), permissions), ErrorKind::NotFound);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            file.set_permissions(fs::Permissions::from_mode(0o640)).unwrap();
            assert_eq!(mode(&path), 0o640);
            let secret = folder.join("secret");
            File::options().write(true).create_new(true).mode(0o600).open(&secret).unwrap();
            assert_eq!(mode(&secret), 0o600);
            DirBuilder::new().mode(0o700).create(folder.join("folder")).unwrap();
            assert_eq!(mode(&folder.join("folder")), 0o700);
        }
    });
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_followed_or_not() {
    use ramie::os::unix::fs::{chown, lchown, symlink};
    use std::os::unix::fs::{DirEntryExt, MetadataExt};

    within(LIMIT, || {
        let folder = Folder::new();
        let (file, link) = (folder.join("file"), folder.join("link"));
        symlink(&file, &link).unwrap();
        fails(symlink(&file, &link), ErrorKind::AlreadyExists);
        // It points nowhere.
        fails(fs::metadata(&link), ErrorKind::NotFound);
        fails(fs::canonicalize(&link), ErrorKind::NotFound);
        assert!(!fs::exists(&link).unwrap());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let entry = fs::read_dir(&*folder).unwrap().next().unwrap().unwrap();
        assert!(entry.file_type().unwrap().is_symlink() && entry.metadata().unwrap().is_symlink());
        assert_eq!(entry.ino(), fs::symlink_metadata(&link).unwrap().ino());
        fs::write(&link, "through it").unwrap();
        assert_eq!(text(&file), "through it");
        assert_eq!(fs::read_link(&link).unwrap(), file);
        fails(fs::read_link(&file), ErrorKind::InvalidInput);
        assert!(!fs::metadata(&link).unwrap().is_symlink());
        let owner = fs::metadata(&file).unwrap().uid();
        chown(&link, Some(owner), None).unwrap();
        lchown(&link, None, None).unwrap();
        fails(chown(folder.join("none"), Some(owner), None), ErrorKind::NotFound);
        // What is removed is the link, also as a part of a folder.
        fs::create_dir(folder.join("inner")).unwrap();
        symlink(&*folder, folder.join("inner/up")).unwrap();
        fs::remove_dir_all(folder.join("inner")).unwrap();
        fs::remove_file(&link).unwrap();
        assert_eq!(text(&file), "through it");
        symlink("loop", folder.join("loop")).unwrap();
        assert!(fs::metadata(folder.join("loop")).is_err());
    });
}

#[cfg(unix)]
#[test]
fn reading_at_an_offset_moves_nothing() {
    use std::os::unix::fs::FileExt;

    within(LIMIT, || {
        let folder = Folder::new();
        let mut file = File::create_new(folder.join("file")).unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut three = [0; 3];
        assert_eq!(file.read_at(&mut three, 8).unwrap(), 2);
        file.read_exact_at(&mut three, 4).unwrap();
        assert_eq!(&three, b"456");
        fails(file.read_exact_at(&mut three, 8), ErrorKind::UnexpectedEof);
        assert_eq!(file.write_at(b"A", 0).unwrap(), 1);
        file.write_all_at(b"YZ", 8).unwrap();
        file.write_all(b"!").unwrap();
        assert_eq!(text(&folder.join("file")), "A1234567YZ!");
    });
}

#[test]
fn std_s_buffers_move_large_blocks() {
    within(LIMIT, || {
        let folder = Folder::new();
        let path = folder.join("file");
        let lines = (0..5000).map(|number| number.to_string()).collect::<Vec<_>>();
        let mut writer = BufWriter::with_capacity(1 << 14, File::create(&path).unwrap());
        for line in &lines {
            writeln!(writer, "{line}").unwrap();
        }
        writer.into_inner().unwrap();
        let reader = BufReader::with_capacity(1 << 14, File::open(&path).unwrap());
        assert!(reader.lines().map(Result::unwrap).eq(lines));
        let mut copy = File::create(folder.join("copy")).unwrap();
        let copied = std::io::copy(&mut File::open(&path).unwrap(), &mut copy).unwrap();
        assert_eq!(copied, std_fs::metadata(&path).unwrap().len());
        assert_eq!(text(&folder.join("copy")), text(&path));
    });
}

/// The threads of the pool keep no order, but the first caller is served first.
#[test]
fn operations_on_one_file_keep_their_order() {
    within(LIMIT, || {
        let folder = Folder::new();
        let path = folder.join("file");
        let file = Rc::new(File::create(&path).unwrap());
        let greenlets = (0..200).map(|number| {
            let file = file.clone();
            spawn(move || {
                writeln!(&*file, "{number} {}", "x".repeat(number % 7 * 1000)).unwrap();
                if number % 10 == 0 {
                    file.sync_data().unwrap();
                }
            })
        });
        for greenlet in greenlets.collect::<Vec<_>>() {
            greenlet.get().unwrap();
        }
        let text = text(&path);
        let numbers = text.lines().map(|line| line.split(' ').next().unwrap().parse::<u32>().unwrap());
        assert!(numbers.eq(0..200));
    });
}

#[test]
fn nothing_is_done_in_a_callback_of_the_hub() {
    within(LIMIT, || {
        let refused = Rc::new(Cell::new(false));
        let seen = refused.clone();
        get_hub().run_callback(move || {
            seen.set(catch::<BlockingSwitchOutError, _>(|| fs::read("Cargo.toml")).is_err());
        });
        yield_now();
        assert!(refused.get());
    });
}

#[test]
fn a_file_is_used_inside_a_job() {
    within(LIMIT, || {
        let folder = Folder::new();
        let path = folder.join("file");
        let file = File::create_new(&path).unwrap();
        ramie::blocking(|| {
            (&file).write_all(b"inline").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"inline");
        });
    });
}

/// A call that waits for a thread of the pool is not interrupted; a call that waits for its turn
/// is.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod fifos {
    use std::os::unix::fs::OpenOptionsExt;
    use std::sync::mpsc;

    use ramie::io::Cooperative;
    use ramie::{Greenlet, sleep, with_timeout};
    use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

    use super::*;

    /// Everything of a FIFO that is opened: the path, the end that greenlets read from a thread,
    /// and the other end.
    fn fifo(folder: &Folder) -> (File, std_fs::File) {
        let path = folder.join("fifo");
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        // Each opening waits for the other one: so others run while it does.
        let opening = spawn({
            let path = path.clone();
            move || File::open(path).unwrap()
        });
        yield_now();
        assert!(!opening.ready());
        let far = std_fs::OpenOptions::new().write(true).open(path).unwrap();
        (opening.take().unwrap(), far)
    }

    /// A greenlet that reads from the file and keeps what it has read, also when it is killed.
    fn reader(file: &Rc<File>) -> (Greenlet<usize>, Rc<RefCell<[u8; 8]>>) {
        let buffer = Rc::new(RefCell::new([0; 8]));
        let (file, kept) = (file.clone(), buffer.clone());
        let reading = parked(move || {
            let mut own = [0; 8];
            let read = catch::<GreenletExit, _>(|| (&*file).read(&mut own).unwrap());
            *kept.borrow_mut() = own;
            read.unwrap_or(usize::MAX)
        });
        (reading, buffer)
    }

    #[test]
    fn others_run_while_a_file_is_read() {
        within(LIMIT, || {
            let folder = Folder::new();
            let (file, mut far) = fifo(&folder);
            let (reading, buffer) = reader(&Rc::new(file));
            for _ in 0..10 {
                sleep(Duration::from_millis(1));
                assert!(!reading.ready());
            }
            far.write_all(b"at last").unwrap();
            assert_eq!(reading.get().unwrap(), 7);
            assert_eq!(&buffer.borrow()[..7], b"at last");
        });
    }

    #[test]
    fn a_kill_waits_for_the_read_and_has_what_was_read() {
        within(LIMIT, || {
            let folder = Folder::new();
            let (file, mut far) = fifo(&folder);
            let (reading, buffer) = reader(&Rc::new(file));
            reading.kill_nowait();
            sleep(Duration::from_millis(20));
            assert!(!reading.ready(), "the thread is still at work in its buffer");
            far.write_all(b"too late").unwrap();
            assert_eq!(reading.get().unwrap(), usize::MAX);
            assert_eq!(&*buffer.borrow(), b"too late");
        });
    }

    #[test]
    fn a_timeout_waits_for_the_read() {
        within(LIMIT, || {
            let folder = Folder::new();
            let (mut file, mut far) = fifo(&folder);
            let (over, was_over) = mpsc::channel();
            thread::spawn(move || {
                was_over.recv().unwrap();
                far.write_all(b"abc").unwrap();
                far
            });
            let mut buffer = [0; 3];
            spawn(move || {
                sleep(Duration::from_millis(20));
                over.send(()).unwrap();
            });
            let late = with_timeout(Duration::from_millis(1), || file.read(&mut buffer).unwrap());
            assert!(late.is_err());
            assert_eq!(&buffer, b"abc");
        });
    }

    #[test]
    fn who_waits_for_its_turn_is_killed_at_once() {
        within(LIMIT, || {
            let folder = Folder::new();
            let (file, mut far) = fifo(&folder);
            let file = Rc::new(file);
            let (first, _) = reader(&file);
            let (second, untouched) = reader(&file);
            let (third, buffer) = reader(&file);
            second.kill();
            assert_eq!(second.get().unwrap(), usize::MAX);
            assert_eq!(&*untouched.borrow(), &[0; 8]);
            // What uses no position does not stand in line.
            assert!(!file.metadata().unwrap().is_file());
            far.write_all(b"firstone").unwrap();
            assert_eq!(first.get().unwrap(), 8);
            far.write_all(b"thirdone").unwrap();
            assert_eq!(third.get().unwrap(), 8);
            assert_eq!(&*buffer.borrow(), b"thirdone");
            drop((first, second, third));
            assert_eq!(settled().greenlets, 0);
        });
    }

    /// The documentation's advice for calls that never end.
    #[test]
    fn a_cooperative_fifo_is_killed_at_once() {
        within(LIMIT, || {
            let folder = Folder::new();
            let path = folder.join("fifo");
            mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
            let flags = OFlags::NONBLOCK.bits() as i32;
            let near = File::options().read(true).custom_flags(flags).open(&path).unwrap();
            // A second opening of both ends, so that the first one does not see its end.
            let _far = std_fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
            let mut near = Cooperative::new(near.into_std().unwrap()).unwrap();
            let waiting = parked(move || near.read(&mut [0; 8]).unwrap());
            waiting.kill();
            assert!(waiting.dead());
        });
    }
}

#[test]
fn nothing_is_left_behind() {
    within(LIMIT, || {
        let folder = Folder::new();
        fs::write(folder.join("file"), "x").unwrap();
        let before = (settled(), descriptors());
        for _ in 0..100 {
            let file = File::open(folder.join("file")).unwrap();
            drop(file.try_clone().unwrap().into_std().unwrap());
            let mut entries = fs::read_dir(&*folder).unwrap();
            entries.next().unwrap().unwrap();
            let path = folder.join("file");
            let opening = parked(move || File::open(path).unwrap());
            opening.kill();
        }
        assert_eq!(settled(), before.0);
        // Other tests have descriptors of their own at this time, but not as many as would be left
        // here.
        if let (Some(before), Some(after)) = (before.1, descriptors()) {
            assert!(after < before + 100, "{before} descriptors before, {after} after");
        }
    });
}
